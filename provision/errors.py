"""The one error that reaches a person, and the exit codes of every entry point."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of all our programs."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3


class HubwrightError(Exception):
    """An error for the operator: what happened, where, and what to do next.

    `what` and `hint` are sentences without a final full stop and never contain a secret's value.
    `code` is the exit code of a process that ends with this error.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class SettingsError(HubwrightError):
    """hub.toml, site.toml, secrets.toml or the command line asks for something impossible."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint, code=Exit.USAGE)
