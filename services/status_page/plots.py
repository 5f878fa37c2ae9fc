"""Plots as SVG without scripts, fonts or styles of their own. Pure."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360, 150
LEFT, RIGHT, TOP, BOTTOM = 2, 358, 14, 128  # the area of the lines; labels are on and under them
BRIDGE = 4  # points that may be missing in a row before a line is broken

_ROUND = re.compile(r"\.0+(?!\d)")

Points = Sequence[tuple[int, float | None]]
"""Time (Unix) and value, in order and at even steps."""


@dataclass(frozen=True)
class Line:
    """`style` is a class of the page's style sheet."""

    style: str
    points: Points


@dataclass(frozen=True)
class Frame:
    """The frame of a plot: its span of time, its highest value, and how to write a value."""

    start: int
    end: int
    top: float
    write: Callable[[float], str]

    def x(self, when: float) -> float:
        return LEFT + (RIGHT - LEFT) * (when - self.start) / max(1, self.end - self.start)

    def y(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * min(value, self.top) / self.top


def lines(frame: Frame, about: str, drawn: Sequence[Line]) -> str:
    """A plot of lines. The area under the first one is filled."""
    shapes = []
    for number, line in enumerate(drawn):
        for piece in pieces(line.points):
            path = " ".join(f"{frame.x(when):.1f},{frame.y(value):.1f}" for when, value in piece)
            if number == 0 and len(piece) > 1:
                first, last = frame.x(piece[0][0]), frame.x(piece[-1][0])
                area = f"{first:.1f},{BOTTOM} {path} {last:.1f},{BOTTOM}"
                shapes.append(f'<polygon class="area {line.style}" points="{area}"/>')
            if len(piece) == 1:
                x, y = path.split(",")
                shapes.append(f'<circle class="dot {line.style}" cx="{x}" cy="{y}" r="1.5"/>')
            else:
                shapes.append(f'<polyline class="line {line.style}" points="{path}"/>')
    return _svg(frame, about, shapes)


def bars(frame: Frame, about: str, drawn: Sequence[Line]) -> str:
    """A plot of bars, one a point. Bars of the same time stand on each other."""
    heights: dict[int, float] = {}
    shapes = []
    for line in drawn:
        width = max(1.5, 0.8 * (RIGHT - LEFT) / max(1, len(line.points)))
        for when, value in line.points:
            if not value:
                continue
            below = heights.get(when, 0.0)
            heights[when] = below + value
            y, foot = frame.y(below + value), frame.y(below)
            shapes.append(
                f'<rect class="bar {line.style}" x="{min(frame.x(when), RIGHT - width):.1f}" y="{y:.1f}" '
                f'width="{width:.1f}" height="{foot - y:.1f}"/>'
            )
    return _svg(frame, about, shapes)


def pieces(points: Points) -> list[list[tuple[int, float]]]:
    """The runs of known values; a short gap does not end one."""
    found: list[list[tuple[int, float]]] = []
    missing = BRIDGE + 1
    for when, value in points:
        if value is None:
            missing += 1
            continue
        if missing > BRIDGE or not found:
            found.append([])
        found[-1].append((when, value))
        missing = 0
    return found


def ceiling(value: float) -> float:
    """The next round number above: 1, 2 or 5 and zeros, or four of them, so that a half is round, too."""
    if value <= 0 or not math.isfinite(value):
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1.0, 2.0, 4.0, 5.0, 10.0) if step * unit >= value * 0.9999)


def ticks(start: int, end: int) -> list[tuple[int, str]]:
    """Times to write under a plot, in UTC: hours and minutes, or days when it spans more than two."""
    day = 86400
    step = day if end - start > 2 * day else 6 * 3600 if end - start > 6 * 3600 else 900
    form = "%a" if step == day else "%H:%M"
    first = -(-start // step) * step
    return [(when, time.strftime(form, time.gmtime(when))) for when in range(first, end + 1, step)]


def _svg(frame: Frame, about: str, shapes: Sequence[str]) -> str:
    grid = []
    for share in (0.0, 0.5, 1.0):
        y = frame.y(frame.top * share)
        grid.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if share:
            text = escape(_ROUND.sub("", frame.write(frame.top * share)))
            grid.append(f'<text class="axis" x="{LEFT}" y="{y - 3:.1f}">{text}</text>')
    for when, text in ticks(frame.start, frame.end):
        x = frame.x(when)
        anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
        grid.append(
            f'<text class="axis" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(about)}">'
        f"{''.join(grid[:1])}{''.join(shapes)}{''.join(grid[1:])}</svg>"
    )
