"""The machine that resources work with, over a made-up host."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from provision.agent.distributions import Distribution
from provision.agent.resources import Problem, Resource
from tests.support.fakes.host import DISTRIBUTION, Host
from tests.support.fakes.systemd import Unit

T = TypeVar("T")
R = TypeVar("R", bound=Resource)


@dataclass
class FakeMachine:
    """A resources.Machine over a made-up host: claims and cached looks in memory, blobs of the test."""

    host: Host
    resources: tuple[Resource, ...] = ()
    options: dict[str, Any] = field(default_factory=lambda: {"apt_lock_wait": 1})
    blobs: dict[str, bytes] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, Any] = field(default_factory=dict)
    distribution: Distribution = DISTRIBUTION

    def run(self, argv: Sequence[str], **options: Any) -> str:
        return self.host.run(argv, **options)

    def cached(self, name: str, read: Callable[[], T]) -> T:
        if name not in self.looks:
            self.looks[name] = read()
        seen: T = self.looks[name]
        return seen

    def invalidate(self, name: str) -> None:
        self.looks.pop(name, None)

    def say(self, text: str) -> None:
        self.said.append(text)

    def claim(self, resource: Resource, **facts: Any) -> None:
        for name in ("backup", "blobs", "services"):  # they appear with the first claim, as on a real host
            Path(self.state(name)).mkdir(parents=True, exist_ok=True)
        self.known[resource.id] = {**self.known.get(resource.id, {}), **facts}

    def claims(self, resource: Resource) -> dict[str, Any]:
        return self.known.get(resource.id, {})

    @contextlib.contextmanager
    def blob(self, digest: str) -> Iterator[str]:
        if digest not in self.blobs:
            raise Problem("the driver has gone")
        path = Path(self.state("blobs", digest))
        path.write_bytes(self.blobs[digest])
        yield str(path)
        path.unlink()

    def peers(self, kind: type[R]) -> list[R]:
        return [resource for resource in self.resources if isinstance(resource, kind)]

    def find(self, id: str) -> Resource | None:  # noqa: A002
        return next((resource for resource in self.resources if resource.id == id), None)

    def state(self, *parts: str) -> str:
        return "/".join([self.host.path("/var/lib/hubwright"), *parts])

    def option(self, name: str) -> Any:
        return self.options[name]

    def abandoned(self) -> bool:
        return False

    def packages(self, names: Sequence[str]) -> list[str]:
        return self.distribution.packages(names)


def machine_for(host: Host, *resources: Resource) -> FakeMachine:
    """A machine of the host with these resources, and with an engine if they need one."""
    if any(resource.id.startswith("docker-") for resource in resources):
        host.installed.add("docker.io")
        host.units.setdefault("docker", Unit("active", enabled=True))
        host.groups.setdefault("docker", [])
    return FakeMachine(host, resources, blobs={"0a" * 32: b"context", "0b" * 32: b"archive"})


def converge(machine: FakeMachine, *resources: Resource) -> list[str]:
    """Apply resources as the loop does. Returns the summaries of the changes."""
    changes = []
    for resource in resources:
        change = resource.check(machine)
        if change is not None:
            changes.append(change.summary)
            resource.apply(machine)
            rest = resource.check(machine)
            assert rest is None, rest
    return changes
