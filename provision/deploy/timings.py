"""Timings of runs, to a StatsD when the settings name one. Never fails a run, never slows one down."""

from __future__ import annotations

from collections.abc import Iterable

from provision.settings import Settings

PREFIX = "hubwright.deploy"


def send(settings: Settings, mode: str, runs: Iterable[tuple[float, bool, int]]) -> None:
    """For each run (seconds, failed, changes): a timing in milliseconds, a gauge, and counters over UDP."""
    if settings.deploy.statsd is None:
        return
    import statsd

    host, _, port = settings.deploy.statsd.rpartition(":")
    try:
        client = statsd.StatsClient(host, int(port), prefix=f"{PREFIX}.{mode}")
        for seconds, failed, changes in runs:
            client.timing("duration", seconds * 1000)
            client.incr("failed" if failed else "succeeded")
            client.gauge("changes", changes)
    except Exception:  # no such host, a name that is none: the run itself is what matters
        return
