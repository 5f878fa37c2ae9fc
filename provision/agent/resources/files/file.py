"""Files, directories and links."""

from __future__ import annotations

import difflib
import grp
import hashlib
import os
import pwd
import secrets
import shutil
import stat
from dataclasses import dataclass
from typing import Any

from ..base import Change, CommandFailed, Machine, Problem, Resource
from ..fs import (
    CANDIDATE,
    copy_atomically,
    lstat,
    missing_parents,
    read_text,
    remove_empty,
    set_access,
    unlink,
    write_atomically,
)
from ..python.environment import PythonEnv

DIFF_LINES = 60
CHECK_TIMEOUT = 300  # seconds; a busy emulated machine loads the hub's packages slowly
TIMED_OUT = 124  # exit code of coreutils' timeout
CHECKED = "checked"


@dataclass(frozen=True)
class Directory(Resource):
    """A directory with its owner and mode.

    `purge`: its removal deletes all that services put into it; else only an empty one is removed.
    """

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"
    purge: bool = False

    @property
    def id(self) -> str:
        return f"directory:{self.path}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        status = lstat(self.path)
        if status is None:
            return Change(f"create {self.path}/ ({_access(self)})")
        if not stat.S_ISDIR(status.st_mode):
            raise Problem(f"{self.path} exists and is not a directory", "move it out of the way")
        return _access_change(self, status)

    def apply(self, machine: Machine) -> None:
        if lstat(self.path) is None:
            created = {*machine.claims(self).get("created", []), *missing_parents(self.path)}
            machine.claim(self, created=sorted(created, key=len, reverse=True))  # the deepest first
            os.makedirs(self.path)
        set_access(self.path, self.mode, self.owner, self.group)

    def remove(self, machine: Machine) -> str | None:
        created = machine.claims(self).get("created", [])
        if self.purge and self.path in created:
            shutil.rmtree(self.path, ignore_errors=True)
        remove_empty(created)
        return None

    def generalize(self, machine: Machine) -> str | None:  # noqa: ARG002
        """Delete all that services have put into it."""
        if not self.purge or not os.path.isdir(self.path) or not os.listdir(self.path):
            return None
        for entry in os.scandir(self.path):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        return f"empty {self.path}/"


@dataclass(frozen=True)
class File(Resource):
    """A file with all of its text. A `secret` one is never shown in a diff or kept in a record.

    `check_with`: a command that gets a file with the new text. The old text stays unless the command ends
    with 0 and with the line `checked`: a text that is run may end the command with 0 before it has looked.
    `source`: the operator's own file that the text is of, as the settings name it, for messages.
    `goes_first`: when no longer wanted, it is removed before others are applied, which it would mislead.
    """

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False
    goes_first: bool = False
    check_with: tuple[str, ...] = ()
    source: str = ""

    @property
    def id(self) -> str:
        return f"file:{self.path}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        status = lstat(self.path)
        if status is None:
            return Change(f"create {self.path} ({_access(self)})", self._diff(""))
        if not stat.S_ISREG(status.st_mode):
            return Change(f"replace {self.path} by a file")
        present = read_text(self.path)
        if present != self.content:
            return Change(f"change {self.path}", self._diff(present))
        return _access_change(self, status)

    def prepare(self, machine: Machine) -> None:
        """Check the new text, where the check and the folder are there already."""
        if self.check_with and read_text(self.path) != self.content:
            command = self.check_with
            for environment in machine.peers(PythonEnv):
                command = tuple(environment.ahead(word) for word in command)
            folder = os.path.dirname(self.path)
            if os.path.isdir(folder) and all(os.path.exists(word) for word in command if word[:1] == "/"):
                self._try(machine, command)

    def apply(self, machine: Machine) -> None:
        if self.check_with and read_text(self.path) != self.content:
            self._try(machine, self.check_with)
        if lstat(self.path) is None:
            machine.claim(self, created=True)
        elif not machine.claims(self):
            machine.claim(self)  # creates the folder for the backup
            machine.claim(self, backup=back_up(machine, self.path))
        if read_text(self.path) == self.content:
            set_access(self.path, self.mode, self.owner, self.group)
        else:
            write_atomically(self.path, self.content, self.mode, self.owner, self.group)

    def _try(self, machine: Machine, command: tuple[str, ...]) -> None:
        """Raise Problem with the command's output when it refuses the new text."""
        machine.claim(self)  # so that a later run looks into its folder
        folder, name = os.path.split(self.path)
        candidate = os.path.join(folder, f"{CANDIDATE}{name}")
        try:
            write_atomically(candidate, self.content, self.mode, self.owner, self.group)
            limited = ["timeout", "--kill-after=5", str(CHECK_TIMEOUT), *command]
            output = machine.run([*limited, candidate], interruptible=True)
        except CommandFailed as failure:
            words = failure.output.strip().replace(candidate, self.source or self.path)
            if failure.code == TIMED_OUT:  # and the output is what runuser says about being ended
                words = f"its check did not end within {CHECK_TIMEOUT} s"
            raise self._refusal(words or f"its check ended with exit code {failure.code}") from None
        finally:
            unlink(candidate)
        if output.splitlines()[-1:] != [CHECKED]:
            raise self._refusal("it ends the program that loads it, before its check is complete")

    def _refusal(self, words: str) -> Problem:
        name = self.source or self.path
        return Problem(f"{name} is refused: {words}", f"correct {name}")

    def remove(self, machine: Machine) -> str | None:
        claims = machine.claims(self)
        if claims.get("backup"):
            if os.path.exists(claims["backup"]):
                copy_atomically(claims["backup"], self.path)
                unlink(claims["backup"])
        elif claims.get("created"):
            unlink(self.path)
        return None

    def generalize(self, machine: Machine) -> str | None:  # noqa: ARG002
        return _delete(self.path) if self.secret else None

    def record(self) -> dict[str, Any]:
        return {**self.to_json(), "content": ""}

    def _diff(self, present: str) -> str:
        if self.secret:
            return ""
        lines = list(
            difflib.unified_diff(present.splitlines(), self.content.splitlines(), "now", "then", lineterm="")
        )
        left_out = len(lines) - DIFF_LINES
        return "\n".join(lines[:DIFF_LINES] + ([f"… {left_out} more lines"] if left_out > 0 else []))


@dataclass(frozen=True)
class GeneratedSecret(Resource):
    """`VARIABLE=<64 hex digits>`, made on the machine, never leaving it. For systemd's EnvironmentFile."""

    path: str
    variable: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o600

    @property
    def id(self) -> str:
        return f"secret:{self.path}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        status = lstat(self.path)
        if status is None:
            return Change(f"make a secret in {self.path}")
        if not read_text(self.path).startswith(f"{self.variable}="):
            return Change(f"make a new secret in {self.path}: it holds none")
        return _access_change(self, status)

    def apply(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        if read_text(self.path).startswith(f"{self.variable}="):
            set_access(self.path, self.mode, self.owner, self.group)
        else:
            write_atomically(
                self.path, f"{self.variable}={secrets.token_hex(32)}\n", self.mode, self.owner, self.group
            )

    def remove(self, machine: Machine) -> str | None:
        if machine.claims(self).get("created"):
            unlink(self.path)
        return None

    def generalize(self, machine: Machine) -> str | None:  # noqa: ARG002
        return _delete(self.path)

    def stamp(self, machine: Machine) -> str:  # noqa: ARG002
        return hashlib.sha256(read_text(self.path).encode()).hexdigest()[:32]


def _delete(path: str) -> str | None:
    if lstat(path) is None:
        return None
    unlink(path)
    return f"take away {path}"


def _access(wanted: Any) -> str:
    return f"{wanted.owner}:{wanted.group} {wanted.mode:04o}"


def _access_change(wanted: Any, status: os.stat_result) -> Change | None:
    present = f"{_name(status.st_uid, pwd)}:{_name(status.st_gid, grp)} {stat.S_IMODE(status.st_mode):04o}"
    if present != _access(wanted):
        return Change(f"set {wanted.path} to {_access(wanted)} (is {present})")
    return None


def _name(number: int, database: Any) -> str:
    try:
        entry = database.getpwuid(number) if database is pwd else database.getgrgid(number)
    except KeyError:
        return str(number)
    return str(entry[0])


def back_up(machine: Machine, path: str) -> str:
    """Copy the file of others, and return the copy's path. A claim must have been made before."""
    backup = machine.state("backup", hashlib.sha256(path.encode()).hexdigest()[:16])
    copy_atomically(path, backup)  # on the disk, before the file itself is replaced
    return backup
