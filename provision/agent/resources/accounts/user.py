"""System users."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass

from ..base import Change, CommandFailed, Machine, Resource

IN_USE = 8  # exit code of userdel(8)


@dataclass(frozen=True)
class User(Resource):
    """A system user without a shell, with a group of its own name, and member of `groups`."""

    name: str
    home: str
    groups: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"user:{self.name}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        try:
            pwd.getpwnam(self.name)
        except KeyError:
            return Change(f"create the system user {self.name}")
        missing = self._missing_groups()
        return Change(f"add {self.name} to {', '.join(missing)}") if missing else None

    def apply(self, machine: Machine) -> None:
        try:
            pwd.getpwnam(self.name)
        except KeyError:
            machine.claim(self, created=True)
            machine.run(
                ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", self.home]
                + ["--shell", "/usr/sbin/nologin", self.name]
            )
        if missing := self._missing_groups():
            if not machine.claims(self).get("created"):
                machine.claim(self, groups=missing)
            machine.run(["usermod", "--append", "--groups", ",".join(missing), self.name])

    def remove(self, machine: Machine) -> str | None:
        claims = machine.claims(self)
        try:
            pwd.getpwnam(self.name)
        except KeyError:
            return None
        if claims.get("created"):
            try:
                machine.run(["userdel", self.name])
            except CommandFailed as failure:
                if failure.code == IN_USE:
                    return "a process of it still runs"
                raise
        else:
            for group in claims.get("groups", []):
                machine.run(["gpasswd", "--delete", self.name, group])
        return None

    def _missing_groups(self) -> list[str]:
        members = {entry.gr_name: entry.gr_mem for entry in grp.getgrall()}
        return [group for group in self.groups if self.name not in members.get(group, [])]
