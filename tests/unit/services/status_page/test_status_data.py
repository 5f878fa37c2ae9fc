from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import jinja2
import pytest
import status_data
import status_page

TEMPLATES = Path(status_page.__file__).parent / "pages"
END, HOUR = 1_800_000_000, 3600


def series(**values: list[float | None]) -> status_data.Series:
    return {name: [(END - HOUR + 30 * n, v) for n, v in enumerate(line)] for name, line in values.items()}


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "2 KiB"), (300 << 20, "300 MiB"), (25 << 30, "25.0 GiB")],
)
def test_sizes(value: float, written: str) -> None:
    assert status_data.size(value) == written


def test_graphite_is_asked_for_every_measure_by_its_key() -> None:
    asked = status_data.query("my.hub", HOUR)
    targets = [value for key, value in asked if key == "target"]
    assert 'alias(consolidateBy(stats.gauges.my.hub.users.running,"max"),"people")' in targets
    assert 'alias(stats.gauges.my.hub.host.load,"load")' in targets
    keys = [target.rpartition(',"')[2].rstrip('")') for target in targets]
    assert len(keys) == len(set(keys))
    limits = {panel.limit for panel in status_data.PANELS if panel.limit}
    assert limits | {"hub_up", "people"} <= set(keys)
    assert ("from", "-3600s") in asked
    assert "{p}" not in str(asked)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", {}),
        ('[{"target": "a", "datapoints": [[1.5, 10], [null, 20]]}]', {"a": [(10, 1.5), (20, None)]}),
    ],
)
def test_an_answer(text: str, found: status_data.Series) -> None:
    assert status_data.parse(text) == found


@pytest.mark.parametrize("text", ["", "<html>", "{}x", '[{"target": "a"}]', "[1]", '{"a": 1}'])
def test_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        status_data.parse(text)


def cards(
    found: status_data.Series, latest: status_data.Series, everything: bool = True
) -> dict[str, status_data.Card]:
    made = status_data.cards(found, latest, END, HOUR, everything=everything)
    return {card.title: card for card in made}


def test_what_is_now_is_the_latest_and_what_is_counted_is_added_up() -> None:
    found = cards(
        series(people=[1, 4, 2], started=[1, None, 3], failed=[0, 1], memory=[1 << 30]),
        series(people=[7, None], memory=[2 << 30], memory_total=[4 << 30]),
    )
    people, started, memory = found["People here now"], found["Servers started"], found["Memory in use"]
    assert people.headline == "7"
    assert people.rows == [("People here now", ["7", "1", "2.3", "4"])]
    assert (started.headline, started.beside) == ("4", "in all")
    assert [name for name, _ in started.rows] == ["Servers started: started", "Servers started: failed"]
    assert (memory.headline, memory.beside) == ("2.0 GiB", "of 4.0 GiB")
    assert "4 GiB" in memory.svg  # its upper edge


def test_nothing_is_known_yet() -> None:
    for card in cards({}, {}).values():
        assert card.svg.startswith("<svg")
        assert card.headline in ("n/a", "0", "0.0 s")


def test_a_visitor_sees_the_public_ones_only() -> None:
    assert set(cards({}, {}, everything=False)) == {
        "People here now",
        "Servers started",
        "Time until a server is ready",
    }


@pytest.mark.parametrize(
    ("known", "up"), [([], True), ([1], True), ([1, 0], False), ([0, None], False), ([0, 1], True)]
)
def test_the_hub_is_up_unless_it_is_known_not_to_be(known: list[float | None], up: bool) -> None:
    assert status_data.hub_is_up(series(hub_up=known)) is up


def test_now_is_not_long_ago() -> None:
    found: status_data.Series = {
        "a": [(END - 130, 1.0), (END - 110, 2.0), (END, None)],
        "b": [(END - 900, 1.0)],
    }
    assert status_data.recent(found, END) == {"a": [(END - 110, 2.0), (END, None)], "b": []}
    assert status_data.recent(None, END) == {}


def test_deploys_are_the_latest_and_lines_that_are_none_are_passed_over() -> None:
    lines = [
        json.dumps({"time": f"2026-11-20T23:0{n}:00Z", "by": "ann", "changed": ["a"] * n, "failed": []})
        for n in range(4)
    ]
    lines += [
        "",
        "half a li",
        "[]",
        "{}",
        json.dumps({"time": "2026-11-20T23:05:00Z", "changed": [], "failed": ["tls"]}),
    ]
    assert status_data.deploys(lines, most=2) == [
        {"time": "2026-11-20 23:05:00", "by": "", "changed": 0, "failed": "tls"},
        {"time": "2026-11-20 23:03:00", "by": "ann", "changed": 3, "failed": ""},
    ]


# --- the page -------------------------------------------------------------------------------------


def page(template: str, **values: object) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    given = {"title": "<b>Try & it", "style": "x", "logo": "<svg></svg>", "prefix": "/services/status/"}
    return environment.get_template(template).render(**given, **values)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("operator", [True, False])
def test_the_page_loads_nothing_and_escapes_what_it_is_given(known: bool, operator: bool) -> None:
    hostile = [{"time": "t", "by": "<script>", "changed": 1, "failed": "<i>"}]
    html = page(
        "status.html",
        cards=list(cards(series(people=[1.0]), {}).values()) if known else None,
        windows=list(status_data.WINDOWS),
        over="hour",
        hub_up=False,
        operator=operator,
        deploys=hostile,
        now="now",
    )
    assert "<script" not in html
    assert "<b>" not in html
    assert " style=" not in html
    assert "src=" not in html
    assert [part.split('"')[0] for part in html.split('href="')[1:]] == ["data:,"] + [
        f"/services/status/?over={name}" for name in status_data.WINDOWS
    ]
    assert ("Graphite does not answer" in html) is not known
    assert "The hub does not answer" in html
    assert ("&lt;script&gt;" in html) is operator
    assert ("<table>" in html) is known


@pytest.mark.parametrize(
    ("code", "words"), [(403, "hubwright status-page"), (404, "nothing here"), (500, "has failed")]
)
def test_a_closed_page_says_why(code: int, words: str) -> None:
    assert words in page("status_closed.html", code=code)


def test_the_policy_allows_this_page_s_own_style_and_nothing_else() -> None:
    digest = base64.b64encode(hashlib.sha256(b"a { }").digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in status_page.policy("a { }").split("; "))
    assert rules.pop("style-src") == f"'sha256-{digest}'"
    assert rules.pop("img-src") == "data:"
    assert set(rules.values()) == {"'none'"}
    assert "default-src" in rules
