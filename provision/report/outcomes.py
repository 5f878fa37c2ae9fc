"""Outcomes of runs and statuses of hosts: the data that reports are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from provision.agent.events import Hello, Result, has_failed, is_change
from provision.errors import HubwrightError


@dataclass
class Outcome:
    """How a run ended on one host. `results` are the agent's, one for each resource that was not true yet.

    `remarks`: what a look after the run has found, a sentence each. They make no failure of it.
    """

    host: str
    results: list[Result] = field(default_factory=list)
    count: dict[str, int] = field(default_factory=dict)
    facts: Hello | None = None
    error: HubwrightError | None = None
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return self.error is not None or has_failed(self.count)

    @property
    def changes(self) -> int:
        """Resources that were changed, or would be."""
        return sum(number for status, number in self.count.items() if is_change(status))


@dataclass(frozen=True)
class HostStatus:
    """The status of a host; `error` when it could not be asked. `disk_free` is in bytes.

    `faults`: everything that keeps people from working, or soon will; a sentence each.
    """

    name: str
    deployed: bool = False
    units: dict[str, str] = field(default_factory=dict)
    servers: int = 0
    last_run: dict[str, Any] | None = None
    disk_free: int = 0
    faults: list[str] = field(default_factory=list)
    error: HubwrightError | None = None

    @property
    def healthy(self) -> bool:
        return self.error is None and self.deployed and not self.faults
