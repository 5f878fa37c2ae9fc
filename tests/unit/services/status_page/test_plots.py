from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import plots
import pytest

NOTHING: list[tuple[int, float | None]] = []


@pytest.mark.parametrize(
    ("value", "above"),
    [(0, 1), (-1, 1), (0.3, 0.4), (1, 1), (1.01, 2), (3, 4), (4.5, 5), (7, 10), (99, 100), (101, 200)]
    + [(float("inf"), 1), (float("nan"), 1)],
)
def test_the_upper_edge_is_a_round_number(value: float, above: float) -> None:
    assert plots.ceiling(value) == pytest.approx(above)


@pytest.mark.parametrize(
    ("values", "lengths"),
    [
        ([], []),
        ([None, None], []),
        ([1, 2, 3], [3]),
        ([1, None, None, None, None, 2], [2]),
        ([1, None, None, None, None, None, 2, 3], [1, 2]),
        ([None, 1, None], [1]),
        ([0, 0], [2]),
    ],
)
def test_a_line_has_a_gap_where_much_is_missing(values: list[float | None], lengths: list[int]) -> None:
    assert [len(piece) for piece in plots.pieces(list(enumerate(values)))] == lengths


@pytest.mark.parametrize(
    ("span", "number", "first"),
    [(3600, 4, "00:15"), (86400, 4, "06:00"), (7 * 86400, 7, "Fri")],
)
def test_times_are_written_under_it(span: int, number: int, first: str) -> None:
    found = plots.ticks(1, 1 + span)
    assert (len(found), found[0][1]) == (number, first)


def frame(top: float = 10) -> plots.Frame:
    return plots.Frame(0, 3600, top, lambda value: f"{value:.1f} <s>")


@pytest.mark.parametrize("draw", [plots.lines, plots.bars])
@pytest.mark.parametrize(
    "values", [[], [None], [3.0], [0, 0], [1, None, 99, 2], [1.5] * 200], ids=lambda v: str(len(v))
)
def test_it_is_sound_and_stays_inside(draw: object, values: list[float | None]) -> None:
    points = [(n * 18, value) for n, value in enumerate(values)]
    lines = [plots.Line("first", points), plots.Line("bad", NOTHING)]
    svg = draw(frame(), 'about "it" & <more>', lines)  # type: ignore[operator]
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'about "it" & <more>'
    assert "style=" not in svg
    for number in (float(v) for e in root.iter() for k, v in e.items() if k in ("x", "y", "x1", "y1", "cx")):
        assert 0 <= number <= plots.WIDTH
    for shape in root.iter("polyline"):
        for pair in shape.get("points", "").split():
            x, y = map(float, pair.split(","))
            assert plots.LEFT <= x <= plots.RIGHT
            assert plots.TOP <= y <= plots.BOTTOM


def test_bars_of_a_time_stand_on_each_other() -> None:
    drawn = [plots.Line("first", [(0, 4.0)]), plots.Line("bad", [(0, 2.0)])]
    low, high = ElementTree.fromstring(plots.bars(frame(), "x", drawn)).iter("rect")
    assert float(high.get("y", "")) + float(high.get("height", "")) == pytest.approx(float(low.get("y", "")))
    assert float(low.get("height", "")) == pytest.approx(2 * float(high.get("height", "")), abs=0.2)
