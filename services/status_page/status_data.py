"""The data of the status page: its panels, the query to Graphite for them, and the answer's meaning. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plots

WINDOWS = {"hour": 3600, "day": 86400, "week": 7 * 86400}
NOW = 120  # seconds: older values do not count as now
NOTHING = "n/a"
POINTS = 120  # at most, for each line of a plot


def whole(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


def size(value: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def load(value: float) -> str:
    return f"{value:.2f}"


@dataclass(frozen=True)
class Measure:
    """One line of a plot, and one row of the table. `target`: Graphite's, with {p} for the prefix.

    `over`: how to join several points when a plot has room for one: average, sum or max.
    """

    key: str
    name: str
    target: str
    style: str = "first"
    over: str = "average"

    @property
    def sum(self) -> bool:
        return self.over == "sum"


@dataclass(frozen=True)
class Panel:
    """A plot with its title. `limit`: the key of the measure that is drawn as the plot's upper edge."""

    title: str
    measures: tuple[Measure, ...]
    write: Callable[[float], str] = whole
    public: bool = False
    limit: str = ""


PANELS = (
    Panel(
        "People here now",
        (Measure("people", "people with a server", "stats.gauges.{p}.users.running", over="max"),),
        public=True,
    ),
    Panel(
        "Servers started",
        (
            Measure("started", "started", "stats.timers.{p}.spawner.success.count", over="sum"),
            Measure(
                "failed",
                "failed",
                "sumSeries(stats.counters.{p}.spawner.failure.*.count)",
                "bad",
                over="sum",
            ),
        ),
        public=True,
    ),
    Panel(
        "Time until a server is ready",
        (Measure("wait", "mean", "scale(stats.timers.{p}.spawner.success.mean,0.001)"),),
        write=seconds,
        public=True,
    ),
    Panel(
        "Memory in use",
        (Measure("memory", "memory in use", "stats.gauges.{p}.host.memory.used"),),
        write=size,
        limit="memory_total",
    ),
    Panel(
        "Disk in use",
        (Measure("disk", "disk in use", "stats.gauges.{p}.host.disk.used"),),
        write=size,
        limit="disk_total",
    ),
    Panel("Load", (Measure("load", "processes that run or wait", "stats.gauges.{p}.host.load"),), write=load),
    Panel(
        "Containers",
        (Measure("containers", "containers on the host", "stats.gauges.{p}.host.containers", over="max"),),
    ),
    Panel(
        "Accounts",
        (
            Measure("accounts", "in all", "stats.gauges.{p}.users.total", over="max"),
            Measure("active", "active in 24 hours", "stats.gauges.{p}.users.active", "second", over="max"),
        ),
    ),
    Panel(
        "Removed when idle",
        (
            Measure("culled", "servers", "stats.counters.{p}.culler.servers.count", over="sum"),
            Measure(
                "culled_users", "accounts", "stats.counters.{p}.culler.users.count", "second", over="sum"
            ),
        ),
    ),
)
# Measures that are asked for and have no line of their own.
OTHERS = (
    Measure("hub_up", "", "stats.gauges.{p}.hub.up"),
    Measure("memory_total", "", "stats.gauges.{p}.host.memory.total"),
    Measure("disk_total", "", "stats.gauges.{p}.host.disk.total"),
)

Series = Mapping[str, plots.Points]


@dataclass(frozen=True)
class Card:
    """A panel with its numbers. `rows`: a name, and its value now or in total, lowest, mean, highest."""

    title: str
    headline: str
    beside: str
    svg: str
    rows: list[tuple[str, list[str]]]
    legend: list[tuple[str, str]]


def query(prefix: str, window: int) -> list[tuple[str, str]]:
    """The parameters of Graphite's /render for all panels."""
    targets = []
    for measure in [*(measure for panel in PANELS for measure in panel.measures), *OTHERS]:
        target = measure.target.replace("{p}", prefix)
        if measure.over != "average":
            target = f'consolidateBy({target},"{measure.over}")'
        targets.append(("target", f'alias({target},"{measure.key}")'))
    return [
        *targets,
        ("from", f"-{window}s"),
        ("until", "now"),
        ("format", "json"),
        ("maxDataPoints", str(POINTS)),
    ]


def parse(text: str) -> dict[str, plots.Points]:
    """Graphite's JSON: key → points. ValueError when it is not that."""
    try:
        return {
            series["target"]: [(int(when), value) for value, when in series["datapoints"]]
            for series in json.loads(text)
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"not what Graphite answers: {error}") from None


def cards(series: Series, latest: Series, end: int, window: int, *, everything: bool) -> list[Card]:
    """The panels to show. `latest`: the same measures over the last minutes, for the values of now."""
    return [_card(panel, series, latest, end, window) for panel in PANELS if everything or panel.public]


def recent(series: Series | None, end: int) -> Series:
    """The known values of the two minutes before `end`."""
    return {
        key: [(when, value) for when, value in points if when > end - NOW]
        for key, points in (series or {}).items()
    }


def hub_is_up(latest: Series) -> bool:
    """True unless the hub is known to be down."""
    return last(latest.get("hub_up", [])) != 0


def last(points: plots.Points) -> float | None:
    return next((value for _, value in reversed(points) if value is not None), None)


def deploys(lines: Iterable[str], most: int = 8) -> list[dict[str, Any]]:
    """The latest entries of the host's journal, the newest first; other lines are passed over."""
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            when, changed, failed = entry["time"], len(entry["changed"]), list(entry["failed"])
        except (ValueError, KeyError, TypeError):
            continue
        found.append(
            {"time": when.replace("T", " ").removesuffix("Z"), "by": entry.get("by", ""), "changed": changed}
            | {"failed": ", ".join(map(str, failed))}
        )
    return found[-most:][::-1]


def _card(panel: Panel, series: Series, latest: Series, end: int, window: int) -> Card:
    summed = panel.measures[0].sum
    limit = last(latest.get(panel.limit, [])) or last(series.get(panel.limit, []))
    values = {
        m.key: [value for _, value in series.get(m.key, []) if value is not None] for m in panel.measures
    }
    highest = max((max(v) for v in values.values() if v), default=0.0)
    if summed:
        highest = max(_stacked([series.get(m.key, []) for m in panel.measures]), default=0.0)
    frame = plots.Frame(end - window, end, limit or plots.ceiling(highest), panel.write)
    first = panel.measures[0]
    headline = _headline(first, values[first.key], latest, panel.write)
    about = f"{panel.title}: {headline}" + (f"; highest {panel.write(highest)}" if highest else "")
    drawn = [plots.Line(m.style, series.get(m.key, [])) for m in panel.measures]
    draw = plots.bars if summed else plots.lines
    return Card(
        panel.title,
        headline,
        f"of {panel.write(limit)}" if limit else "in all" if summed else "",
        draw(frame, about, drawn),
        [_row(panel, m, values[m.key], latest) for m in panel.measures],
        [(m.style, m.name) for m in panel.measures] if len(panel.measures) > 1 else [],
    )


def _headline(
    measure: Measure, values: Sequence[float], latest: Series, write: Callable[[float], str]
) -> str:
    if measure.sum:
        return write(sum(values))
    now = last(latest.get(measure.key, []))
    if now is None and measure.key == "wait" and values:
        now = values[-1]  # no server started in the last minutes: show the last one that did
    return write(now) if now is not None else NOTHING


def _row(panel: Panel, measure: Measure, values: Sequence[float], latest: Series) -> tuple[str, list[str]]:
    name = panel.title if len(panel.measures) == 1 else f"{panel.title}: {measure.name}"
    now = _headline(measure, values, latest, panel.write)
    if measure.sum:
        return name, [now, "", "", ""]
    if not values:
        return name, [now, NOTHING, NOTHING, NOTHING]
    return name, [now, *map(panel.write, (min(values), sum(values) / len(values), max(values)))]


def _stacked(many: Sequence[plots.Points]) -> list[float]:
    heights: dict[int, float] = {}
    for points in many:
        for when, value in points:
            heights[when] = heights.get(when, 0.0) + (value or 0.0)
    return list(heights.values())
