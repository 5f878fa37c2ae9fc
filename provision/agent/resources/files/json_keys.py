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

    def check(self, machine: Machine) -> Change | None:
        present = self._load()
        wrong = [key for key, value in self.values.items() if present.get(key) != value]
        left = [key for key in self._held(machine) if key not in self.values]
        words = [f"{verb} {', '.join(keys)}" for verb, keys in (("set", wrong), ("give back", left)) if keys]
        return Change(f"{' and '.join(words)} in {self.path}") if words else None

    def apply(self, machine: Machine) -> None:
        present, held, before = self._load(), self._held(machine), machine.claims(self).get("before", {})
        if not machine.claims(self):
            parents = missing_parents(os.path.dirname(self.path))
            machine.claim(self, created=lstat(self.path) is None, parents=parents)
        replaced = {key: present[key] for key in self.values if key in present and key not in held}
        before = {**before, **replaced}
        machine.claim(self, before=before, keys=sorted({*held, *self.values}))
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._store({**_theirs(present, held, before), **self.values})
        kept = {key: value for key, value in before.items() if key in self.values}
        machine.claim(self, before=kept, keys=sorted(self.values))

    def remove(self, machine: Machine) -> str | None:
        claims = machine.claims(self)
        if claims and os.path.exists(self.path):
            rest = _theirs(self._load(), self._held(machine), claims.get("before", {}))
            if rest or not claims["created"]:
                self._store(rest)
            else:
                unlink(self.path)
        remove_empty(claims.get("parents", []))
        return None

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
        status = lstat(self.path)
        mode = stat.S_IMODE(status.st_mode) if status else 0o644
        write_atomically(self.path, json.dumps(data, indent=2) + "\n", mode)


def _theirs(present: dict[str, Any], held: list[str], before: dict[str, Any]) -> dict[str, Any]:
    """The keys of others: without those that we have set, and with their values from before."""
    return {key: value for key, value in present.items() if key not in held} | before
