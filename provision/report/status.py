"""The report of hosts' statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provision.report.outcomes import HostStatus
from provision.report.reporter import Reporter

WIDTH = 28  # characters: the longest name of a unit, and a space


def show(reporter: Reporter, hosts: Sequence[HostStatus], *, as_json: bool) -> None:
    if as_json:
        reporter.json([_plain(host) for host in hosts])
        return
    for host in hosts:
        if host.error is not None:
            reporter.error(host.error)
            continue
        if not host.deployed:
            reporter.result(f"{host.name}: nothing is deployed")
            continue
        reporter.result(f"{host.name}: {'well' if host.healthy else 'NOT well'}")
        for fault in host.faults:
            reporter.result(f"  ✗ {fault}")
        for unit, state in host.units.items():
            reporter.result(f"  {unit:<{WIDTH}} {state}")
        reporter.result(f"  {'notebook servers':<{WIDTH}} {host.servers}")
        reporter.result(f"  {'disk free':<{WIDTH}} {host.disk_free / 1024**3:.1f} GiB")
        if host.last_run:
            outcome = _outcome(host.last_run)
            reporter.result(f"  {'last change':<{WIDTH}} {host.last_run['time']}, {outcome}")


def _outcome(run: dict[str, Any]) -> str:
    if run["failed"]:
        return f"{', '.join(run['failed'])} failed"
    if run.get("skipped"):
        return f"it was stopped before the end of {', '.join(run['skipped'])}"
    return f"{len(run['changed'])} changed"


def _plain(host: HostStatus) -> dict[str, Any]:
    data = {**vars(host), "healthy": host.healthy}
    data["error"] = str(host.error) if host.error else None
    return data
