"""A bar chart as SVG, with a logarithmic scale: the ways are up to fifty times apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, LABELS, BAR, GAP = 760, 190, 16, 26  # pixels
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)  # seconds


def write(path: Path, columns: Mapping[str, Mapping[str, float]]) -> None:
    """Write the chart of column → way → seconds."""
    path.write_text(svg(columns), encoding="utf-8")


def svg(columns: Mapping[str, Mapping[str, float]]) -> str:
    most = max(seconds for row in columns.values() for seconds in row.values())
    low, high = math.log(TICKS[0] / 2), math.log(most * 1.6)

    def x(seconds: float) -> float:
        return LABELS + (WIDTH - LABELS) * (math.log(max(seconds, TICKS[0] / 2)) - low) / (high - low)

    parts: list[str] = []
    y = GAP
    for column, row in columns.items():
        parts.append(f'<text x="0" y="{y}" font-weight="bold">{escape(column)}</text>')
        y += 8
        for way, seconds in row.items():
            colour = "#f37726" if way == "Hubwright" else "#9aa5b1"
            parts.append(
                f'<text x="{LABELS - 8}" y="{y + BAR - 4}" text-anchor="end">{escape(way)}</text>'
                f'<rect x="{LABELS}" y="{y}" width="{x(seconds) - LABELS:.1f}" height="{BAR - 3}" '
                f'fill="{colour}"/>'
                f'<text x="{x(seconds) + 5:.1f}" y="{y + BAR - 4}">{seconds:.2f} s</text>'
            )
            y += BAR
        y += GAP
    grid = "".join(
        f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{GAP}" y2="{y - GAP}" stroke="#e4e7eb"/>'
        f'<text x="{x(tick):.1f}" y="{y - GAP + 14}" text-anchor="middle" fill="#616e7c">{tick:g} s</text>'
        for tick in TICKS
        if tick < most * 1.6
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>{grid}{"".join(parts)}</svg>\n'
    )
