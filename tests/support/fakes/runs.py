"""Runs on hosts whose end is given."""

from __future__ import annotations

import dataclasses

from provision.agent.events import Hello, Result
from provision.errors import HubwrightError
from provision.report.outcomes import Outcome

CHANGED = Result("one", "file:/x", "changed", "change /x", "-a\n+b", 1.26)
FAILED = Result("one", "file:/x", "failed", "disk is full", seconds=1.26, hint="free some")


def outcome(name: str = "host", error: HubwrightError | None = None, **count: int) -> Outcome:
    counted = {key.replace("_", "-"): number for key, number in count.items()}
    results = [FAILED] if count.get("failed") else [CHANGED] if count.get("changed") else []
    if "would_change" in count:
        results = [dataclasses.replace(CHANGED, status="would-change")]
    return Outcome(name, results, counted, Hello("Debian 12"), error, 2.0)
