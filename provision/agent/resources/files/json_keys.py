"""Single keys of a JSON file that belongs to others."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from typing import Any

from ..base import Change, Machine, Problem, Resource
from ..fs import lstat, missing_parents, read_text, remove_empty, unlink, write_atomically


@dataclass(frozen=True)
class JsonKeys(Resource):
    """Keys of a JSON file that others may also write to: theirs stay, and removal restores ours."""

    path: str
    values: dict[str, Any] = field(hash=False)

    @property
    def id(self) -> str:
        return f"json:{self.path}"

    def wanted(self, machine: Machine) -> dict[str, Any]:  # noqa: ARG002 - some kinds ask the host
        """The keys to set on this host, with their values."""
        return self.values

    def check(self, machine: Machine) -> Change | None:
        present, wanted = self._load(), self.wanted(machine)
        wrong = [key for key, value in wanted.items() if present.get(key) != value]
        left = [key for key in self._held(machine) if key not in wanted]
        words = [f"{verb} {', '.join(keys)}" for verb, keys in (("set", wrong), ("give back", left)) if keys]
        return Change(f"{' and '.join(words)} in {self.path}") if words else None

    def apply(self, machine: Machine) -> None:
        present, held, wanted = self._load(), self._held(machine), self.wanted(machine)
        if not machine.claims(self):
            text = read_text(self.path) if lstat(self.path) else None
            parents = missing_parents(os.path.dirname(self.path))
            machine.claim(
                self, created=text is None, parents=parents, original=text, **self.found_first(machine)
            )
        before = self._before(machine, present, wanted)
        machine.claim(
            self,
            before=before,
            keys=sorted({*held, *wanted}),
            previous=machine.claims(self).get("previous") or self._as_it_is(machine),
        )
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._store({**_theirs(present, held, before), **wanted})
        kept = {key: value for key, value in before.items() if key in wanted}
        machine.claim(self, before=kept, keys=sorted(wanted))

    def found_first(self, machine: Machine) -> dict[str, Any]:  # noqa: ARG002 - some kinds ask the host
        """More facts to claim before the first change of the file."""
        return {}

    def merged(self, machine: Machine) -> dict[str, Any]:
        """The file's content as `apply` would make it."""
        present, held, wanted = self._load(), self._held(machine), self.wanted(machine)
        return {**_theirs(present, held, self._before(machine, present, wanted)), **wanted}

    def keep(self, machine: Machine) -> None:
        """Note that the file is good: its reader has started with it."""
        if machine.claims(self).get("previous"):
            machine.claim(self, previous=None)

    def put_back(self, machine: Machine) -> bool:
        """Make the file what it was when its reader last started. False when that is what it is."""
        previous = machine.claims(self).get("previous")
        if not previous:
            return False
        if previous["text"] is None:
            unlink(self.path)
        else:
            self._write(previous["text"])
        machine.claim(self, before=previous["before"], keys=previous["keys"], previous=None)
        return True

    def remove(self, machine: Machine) -> str | None:
        claims = machine.claims(self)
        if claims and os.path.exists(self.path):
            rest = _theirs(self._load(), self._held(machine), claims.get("before", {}))
            original = claims.get("original")
            if original is not None and _parsed(original) == rest:
                if read_text(self.path) != original:
                    self._write(original)
            elif rest or not claims["created"]:
                self._store(rest)
            else:
                unlink(self.path)
        remove_empty(claims.get("parents", []))
        return None

    def _as_it_is(self, machine: Machine) -> dict[str, Any]:
        claims = machine.claims(self)
        text = read_text(self.path) if lstat(self.path) else None
        return {"text": text, "before": claims.get("before", {}), "keys": claims.get("keys", [])}

    def _before(self, machine: Machine, present: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
        """The values that were there before ours."""
        held = self._held(machine)
        replaced = {key: present[key] for key in wanted if key in present and key not in held}
        return {**machine.claims(self).get("before", {}), **replaced}

    def _held(self, machine: Machine) -> list[str]:
        """The keys that we have ever set."""
        held: list[str] = machine.claims(self).get("keys", [])
        return held

    def _load(self) -> dict[str, Any]:
        try:
            data = json.loads(read_text(self.path) or "{}")
        except ValueError as error:
            raise Problem(f"{self.path} is not valid JSON: {error}", "correct or move the file") from None
        if not isinstance(data, dict):
            raise Problem(f"{self.path} does not hold a JSON object", "correct or move the file")
        return data

    def _store(self, data: dict[str, Any]) -> None:
        self._write(json.dumps(data, indent=2) + "\n")

    def _write(self, text: str) -> None:
        status = lstat(self.path)
        write_atomically(self.path, text, stat.S_IMODE(status.st_mode) if status else 0o644)


def _theirs(present: dict[str, Any], held: list[str], before: dict[str, Any]) -> dict[str, Any]:
    """The keys of others: without those that we have set, and with their values from before."""
    return {key: value for key, value in present.items() if key not in held} | before


def _parsed(text: str) -> Any:
    """The text's data; None when it is not JSON."""
    try:
        return json.loads(text or "{}")
    except ValueError:
        return None
