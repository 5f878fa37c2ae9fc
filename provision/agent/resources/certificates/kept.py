"""The hub's certificate when a program on the host makes and renews it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..base import Change, Machine, Resource
from ..fs import unlink


@dataclass(frozen=True)
class KeptCertificate(Resource):
    """A key with its certificate in one file, as services/system/keep_certificate.py keeps it.

    `program` is that file's path; `arguments` follow its verb: `check` prints why the file has to be made
    again, `renew` makes it. Its users read the file again when it changes, so nothing watches this resource.
    """

    path: str
    program: str
    arguments: tuple[str, ...]

    @property
    def preparatory(self) -> bool:
        return not os.path.exists(self.path)  # its users read one that is there again at once

    @property
    def id(self) -> str:
        return f"tls:{self.path}"

    def check(self, machine: Machine) -> Change | None:
        if not os.path.exists(self.path):
            return Change(f"make the certificate {self.path}")
        if not os.path.exists(self.program):
            return Change(f"check the certificate {self.path}", unknown=True)
        reason = self._run(machine, "check").strip()
        return Change(f"make the certificate {self.path} again: {reason}") if reason else None

    def apply(self, machine: Machine) -> None:
        if not os.path.exists(self.path):
            machine.claim(self, created=True)
        self._run(machine, "renew")

    def remove(self, machine: Machine) -> str | None:
        if machine.claims(self).get("created"):
            unlink(self.path)
        return None

    def generalize(self, machine: Machine) -> str | None:  # noqa: ARG002
        if not os.path.exists(self.path):
            return None
        unlink(self.path)
        return f"take away {self.path}"

    def _run(self, machine: Machine, verb: str) -> str:
        return machine.run(["/usr/bin/python3", self.program, verb, *self.arguments])
