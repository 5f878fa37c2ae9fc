"""Timings of runs for StatsD, if the settings name one. A failure to send them never fails a run."""

from __future__ import annotations

from collections.abc import Iterable

from provision.settings import Settings

PREFIX = "hubwright.deploy"


def send(settings: Settings, mode: str, runs: Iterable[tuple[float, bool, int]]) -> None:
    """Send for each run (seconds, failed, changes) a timing (ms), a gauge and counters over UDP."""
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
    except Exception:  # no such host, or not a host's name: the run itself matters more
        return
