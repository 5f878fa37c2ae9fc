"""A stand-in for the programs of this computer: answers that a test sets, and the commands asked."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from provision.errors import HubwrightError
from provision.tools import process
from provision.tools.process import ProgramError

Answer = str | Exception | Callable[..., str]


class Programs:
    """A stand-in for process.run. The answer with the longest matching prefix of the command holds."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.calls: list[str] = []

    def __call__(self, argv: list[str], **options: Any) -> str:
        command = " ".join(argv)
        self.calls.append(command)
        fitting = [beginning for beginning in self.answers if command.startswith(beginning)]
        answer = self.answers[max(fitting, key=len)] if fitting else ""
        if isinstance(answer, Exception):
            raise answer
        return answer(argv, **options) if callable(answer) else answer

    def called(self, beginning: str) -> list[str]:
        return [call for call in self.calls if call.startswith(beginning)]

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Programs:
        programs = cls()
        for module in (process, *modules):
            monkeypatch.setattr(module, "run", programs)
        return programs


def failed(output: str = "", exit_code: int | None = 1) -> ProgramError:
    return ProgramError(["program"], exit_code, output)


def not_installed(name: str) -> HubwrightError:
    return HubwrightError(f"{name} is not installed")
