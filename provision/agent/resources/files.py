"""Files, directories and links."""

from __future__ import annotations

import difflib
import grp
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
from dataclasses import dataclass, field
from typing import Any

from .base import Change, Machine, Problem, Resource
from .fs import lstat, read_text, set_access, unlink, write_atomically

DIFF_LINES = 60


@dataclass(frozen=True)
class Directory(Resource):
    """A directory with its owner and mode.

    `purge`: what services put into it goes with it when it is removed; else only an empty one goes.
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
            raise Problem(f"{self.path} is there and is not a directory", "move it out of the way")
        return _access_change(self, status)

    def apply(self, machine: Machine) -> None:
        if lstat(self.path) is None:
            created = {*machine.claims(self).get("created", []), *_missing_parents(self.path)}
            machine.claim(self, created=sorted(created, key=len, reverse=True))  # the deepest first
            os.makedirs(self.path)
        set_access(self.path, self.mode, self.owner, self.group)

    def remove(self, machine: Machine) -> str | None:
        created = machine.claims(self).get("created", [])
        if self.purge and self.path in created:
            shutil.rmtree(self.path, ignore_errors=True)
        _remove_empty(created)
        return None


@dataclass(frozen=True)
class File(Resource):
    """A file with all of its text. A `secret` one is never shown in a diff nor kept in a record."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False

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

    def apply(self, machine: Machine) -> None:
        if lstat(self.path) is None:
            machine.claim(self, created=True)
        elif not machine.claims(self):
            machine.claim(self)  # makes the folder that the backup goes to
            machine.claim(self, backup=_back_up(machine, self.path))
        if read_text(self.path) == self.content:
            set_access(self.path, self.mode, self.owner, self.group)
        else:
            write_atomically(self.path, self.content, self.mode, self.owner, self.group)

    def remove(self, machine: Machine) -> str | None:
        claims = machine.claims(self)
        if claims.get("backup"):
            if os.path.exists(claims["backup"]):
                shutil.move(claims["backup"], self.path)
        elif claims.get("created"):
            unlink(self.path)
        return None

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

    def stamp(self, machine: Machine) -> str:  # noqa: ARG002
        return hashlib.sha256(read_text(self.path).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class JsonKeys(Resource):
    """Keys of a JSON file that others may also write to: theirs stay, ours go back on removal."""

    path: str
    values: dict[str, Any] = field(hash=False)

    @property
    def id(self) -> str:
        return f"json:{self.path}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        present = self._load()
        wrong = [key for key, value in self.values.items() if present.get(key) != value]
        return Change(f"set {', '.join(wrong)} in {self.path}") if wrong else None

    def apply(self, machine: Machine) -> None:
        present = self._load()
        if not machine.claims(self):
            before = {key: present[key] for key in self.values if key in present}
            parents = _missing_parents(os.path.dirname(self.path))
            machine.claim(self, created=lstat(self.path) is None, before=before, parents=parents)
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._store({**present, **self.values})

    def remove(self, machine: Machine) -> str | None:
        claims = machine.claims(self)
        if claims and os.path.exists(self.path):
            rest = {k: v for k, v in self._load().items() if k not in self.values} | claims["before"]
            if rest or not claims["created"]:
                self._store(rest)
            else:
                unlink(self.path)
        _remove_empty(claims.get("parents", []))
        return None

    def _load(self) -> dict[str, Any]:
        try:
            data = json.loads(read_text(self.path) or "{}")
        except ValueError as error:
            raise Problem(f"{self.path} is not valid JSON: {error}", "mend or move the file") from None
        if not isinstance(data, dict):
            raise Problem(f"{self.path} does not hold a JSON object", "mend or move the file")
        return data

    def _store(self, data: dict[str, Any]) -> None:
        status = lstat(self.path)
        mode = stat.S_IMODE(status.st_mode) if status else 0o644
        write_atomically(self.path, json.dumps(data, indent=2) + "\n", mode)


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


def _missing_parents(path: str) -> list[str]:
    """`path` and the ancestors that are not there, the deepest first: the order of removal."""
    missing = []
    while path != "/" and lstat(path) is None:
        missing.append(path)
        path = os.path.dirname(path)
    return missing


def _remove_empty(paths: list[str]) -> None:
    """Remove directories, the deepest first, up to one that holds somebody else's files."""
    for path in paths:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            break


def _back_up(machine: Machine, path: str) -> str:
    backup = machine.state("backup", hashlib.sha256(path.encode()).hexdigest()[:16])
    shutil.copy2(path, backup, follow_symlinks=False)
    return backup
