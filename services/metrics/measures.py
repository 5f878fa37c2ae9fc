"""The numbers of /hub/metrics, turned into those that StatsD is told. Pure.

The hub counts from its own start. A round compares its numbers with those of the round before, so that StatsD
gets the difference: never a negative number, and after a restart of the hub all of its new count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Labels = frozenset[tuple[str, str]]
Samples = dict[str, list[tuple[Labels, float]]]

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_ENUM = re.compile(r"^[A-Z]\w*Status\.")  # the hub gives some states as members of a Python enum
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

# The names that JupyterHub's own StatsD support had, and the metrics with their numbers now. `users.active`
# once meant the last half hour; the hub counts a day now.
GAUGES: dict[str, tuple[str, dict[str, str]]] = {
    "users.running": ("jupyterhub_running_servers", {}),
    "users.active": ("jupyterhub_active_users", {"period": "24h"}),
    "users.total": ("jupyterhub_total_users", {}),
}
# Counted by failed_starts.py, once for each start that failed. The hub's own histogram of starts does not
# tell a time-out from an error; it counts a container that ended at once twice, and visitors turned away too.
_FAILED = "hubwright_failed_starts_seconds"
_REASONS = ("timeout", "error", "http_timeout", "http_error")
_LOGIN_PAGE = {"handler": "jupyterhub.handlers.login.LoginHandler", "method": "GET"}
COUNTERS: dict[str, tuple[str, dict[str, str]]] = {
    "login.request": ("jupyterhub_request_duration_seconds_count", _LOGIN_PAGE),
    "login.success": ("jupyterhub_login_duration_seconds_count", {"status": "success"}),
    "login.failure": ("jupyterhub_login_duration_seconds_count", {"status": "failure"}),
    "logout": ("jupyterhub_logout_duration_seconds_count", {}),
    "spawner.refused": ("jupyterhub_server_spawn_duration_seconds_count", {"reason": "too-many-users"}),
    **{f"spawner.failure.{reason}": (f"{_FAILED}_count", {"reason": reason}) for reason in _REASONS},
}
# Histograms and summaries, of which the number of events and the sum of their seconds are used.
TIMINGS: dict[str, tuple[str, list[dict[str, str]]]] = {
    "login.authenticate.success": ("jupyterhub_login_duration_seconds", [{"status": "success"}]),
    "login.authenticate.failure": ("jupyterhub_login_duration_seconds", [{"status": "failure"}]),
    "spawner.success": ("jupyterhub_server_spawn_duration_seconds", [{"status": "success"}]),
    "spawner.failure": (_FAILED, [{}]),
    "spawner.stop": ("jupyterhub_server_stop_seconds", [{}]),
}
STARTED = "process_start_time_seconds"


@dataclass(frozen=True)
class Reading:
    """The hub's numbers at one time. `timings` are number and sum in seconds."""

    started: float
    gauges: dict[str, float]
    counters: dict[str, float]
    timings: dict[str, tuple[float, float]]


@dataclass
class Ledger:
    """The numbers seen last, and those that StatsD has not been told yet. Kept in a file as JSON."""

    started: float = 0.0
    counters: dict[str, float] = field(default_factory=dict)
    timings: dict[str, tuple[float, float]] = field(default_factory=dict)
    due_counters: dict[str, float] = field(default_factory=dict)
    due_timings: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ledger:
        """The ledger that `data` was made of. Raises KeyError, TypeError or ValueError for other data."""

        def pairs(values: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
            return {name: (float(value[0]), float(value[1])) for name, value in values.items()}

        def numbers(values: Mapping[str, Any]) -> dict[str, float]:
            return {name: float(value) for name, value in values.items()}

        return cls(
            float(data["started"]),
            numbers(data["counters"]),
            pairs(data["timings"]),
            numbers(data["due_counters"]),
            pairs(data["due_timings"]),
        )

    def add(self, reading: Reading) -> None:
        """Make due what has been added since the last reading. Nothing is due for the very first one."""
        restarted = reading.started != self.started
        first = not self.started
        for name, now in reading.counters.items():
            grown = growth(self.counters.get(name, 0.0), now, restarted)
            if grown and not first:
                self.due_counters[name] = self.due_counters.get(name, 0.0) + grown
        for name, (count, total) in reading.timings.items():
            count_before, total_before = self.timings.get(name, (0.0, 0.0))
            # Number and sum restart together: one without the other would make nonsense of a mean.
            again = restarted or count < count_before
            number = growth(count_before, count, again)
            if number and not first:
                due = self.due_timings.get(name, (0.0, 0.0))
                self.due_timings[name] = (due[0] + number, due[1] + growth(total_before, total, again))
        self.started = reading.started
        self.counters = dict(reading.counters)
        self.timings = dict(reading.timings)

    def settle(self) -> None:
        """Forget what was due: StatsD has been told."""
        self.due_counters, self.due_timings = {}, {}


def growth(before: float, now: float, restarted: bool) -> float:
    """The number added; `restarted`: the hub has started again and counts from nothing."""
    return now if restarted or now < before else now - before


def parse(text: str) -> Samples:
    """Prometheus' text format: name → labels and value of each sample. Other lines are passed over."""
    found: Samples = {}
    for line in text.splitlines():
        if match := _LINE.match(line):
            try:
                value = float(match[3])
            except ValueError:
                continue
            labels = frozenset((key, _ENUM.sub("", said)) for key, said in _LABEL.findall(match[2] or ""))
            found.setdefault(match[1], []).append((labels, value))
    return found


def total(samples: Samples, name: str, labels: Mapping[str, str]) -> float | None:
    """The sum of all samples that carry these labels; None when there is none."""
    wanted = set(labels.items())
    values = [value for found, value in samples.get(name, []) if wanted <= found]
    return sum(values) if values else None


def read(text: str) -> Reading:
    """The numbers of /hub/metrics. Raises ValueError when the text is not the hub's."""
    samples = parse(text)
    started = total(samples, STARTED, {})
    if started is None:
        raise ValueError(f"the answer of /hub/metrics holds no {STARTED}")
    return Reading(
        started,
        {
            name: value
            for name, (metric, labels) in GAUGES.items()
            if (value := total(samples, metric, labels)) is not None
        },
        {name: total(samples, metric, labels) or 0.0 for name, (metric, labels) in COUNTERS.items()},
        {
            name: (
                sum(total(samples, f"{metric}_count", labels) or 0.0 for labels in choices),
                sum(total(samples, f"{metric}_sum", labels) or 0.0 for labels in choices),
            )
            for name, (metric, choices) in TIMINGS.items()
        },
    )
