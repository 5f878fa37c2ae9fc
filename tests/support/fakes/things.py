"""Things in memory in place of resources of a real kind, and the driver of a run over them."""

from __future__ import annotations

import errno
import io
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from provision.agent.channel import Channel
from provision.agent.loop import Run
from provision.agent.resources import Change, Machine, Problem, Resource
from provision.agent.state import State
from tests.support.fakes.host import DISTRIBUTION


@dataclass(frozen=True)
class Thing(Resource):
    """A resource that holds when `world` says so. `behaviour` names a side effect of apply, see below."""

    name: str
    value: str = "x"
    behaviour: str = ""

    world: ClassVar[dict[str, str]] = {}
    log: ClassVar[list[str]] = []
    together: ClassVar[threading.Barrier]

    @property
    def id(self) -> str:
        return f"thing:{self.name}"

    def check_possible(self, machine: Machine) -> None:  # noqa: ARG002
        if self.behaviour == "impossible":
            raise Problem(f"{self.name} cannot be here", "choose another place")

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        if self.behaviour == "cannot tell":
            return Change(f"make {self.name}", unknown=True)
        if self.behaviour == "breaks in check":
            raise ValueError("cannot be checked")
        return None if self.world.get(self.name) == self.value else Change(f"make {self.name}", "+x")

    def apply(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        self.log.append(f"begin {self.name}")
        if self.behaviour == "fails":
            raise Problem(f"{self.name} is broken", "mend it")
        if self.behaviour == "breaks":
            raise ValueError("a fault")
        if self.behaviour == "full":
            raise OSError(errno.ENOSPC, "No space left on device", "/opt/x")
        if self.behaviour == "killed":
            raise KeyboardInterrupt
        if self.behaviour == "meets":
            self.together.wait(timeout=10)
        if self.behaviour == "slow":
            time.sleep(0.05)
        if self.behaviour != "forgets":
            self.world[self.name] = self.value
        self.log.append(f"end {self.name}")

    def remove(self, machine: Machine) -> str | None:
        if self.behaviour == "in use" or (self.behaviour == "in use by a" and "a" in self.world):
            return "somebody still uses it"
        if self.behaviour == "stuck":
            raise Problem(f"{self.name} cannot go")
        if machine.claims(self).get("created"):
            self.log.append(f"remove {self.name}")
            self.world.pop(self.name, None)
        return None


class Driver:
    """A driver that runs manifests against one folder of state, and keeps the last run's events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run: Run

    def __call__(self, mode: str = "apply", *, complete: bool = True, **roles: Any) -> dict[str, str]:
        """Status by name of every thing that was not true. A role is a list of things, or (needs, things)."""
        self.prepare(complete=complete, **roles)
        self.run.plan() if mode == "plan" else self.run.apply()
        return {event["id"].removeprefix("thing:"): event["status"] for event in self.results}

    def prepare(self, *, complete: bool = True, **roles: Any) -> Run:
        pairs = {name: role if isinstance(role, tuple) else ((), role) for name, role in roles.items()}
        manifest = {
            "complete": complete,
            "options": {},
            "roles": [
                {"name": name, "needs": needs, "resources": [thing.to_json() for thing in things]}
                for name, (needs, things) in pairs.items()
            ],
        }
        self.sink = io.BytesIO()
        copied = json.loads(json.dumps(manifest))
        self.run = Run(copied, Channel(io.BytesIO(), self.sink), State(str(self.folder)), DISTRIBUTION)
        return self.run

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "result"]

    @property
    def journal(self) -> list[dict[str, Any]]:
        path = self.folder / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def applied(self) -> list[str]:
        return [name.removeprefix("thing:") for name in State(str(self.folder)).applied]


A, B, C = Thing("a"), Thing("b"), Thing("c")
