"""The words between the agent and the driver: read as they were said, newer ones included, defined once."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.agent import events
from provision.agent.events import (
    BlobHeader,
    End,
    Event,
    Hello,
    Other,
    Result,
    Status,
    has_failed,
    is_change,
)
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter
from provision.report.run import COLOURS, MARKS, RunReport
from tests.unit.test_layers import imports, module, sources

NEWER = Result("one", "file:/x", "rotated", "rotate /x")


@pytest.mark.parametrize("kind", events.KNOWN.values())
def test_every_event_is_read_as_it_was_said(kind: type[Event]) -> None:
    values = {"str": "x\n√ä", "float": 1.5, "dict[str, int]": {"ok": 2, "newer": 1}}
    said = kind(**{field.name: values[str(field.type)] for field in dataclasses.fields(kind)})
    line = said.line()
    assert "\n" not in line
    assert json.loads(line)["event"] == kind.name
    assert events.parse(line) == said == events.parse(line.encode() + b"\n")


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ('{"event": "hello", "os": "Debian"}', Hello("Debian")),
        ('{"event": "hello", "os": "Debian", "kernel": "6.1"}', Hello("Debian")),
        ('{"event": "end", "count": {"ok": 1}, "seconds": 3}', End({"ok": 1}, 3)),
        ('{"event": "result", "status": "rotated"}', Result(status="rotated")),
        ('{"event": "warn", "text": "x"}', Other("warn", {"text": "x"})),
        ('{"event": "end", "count": 7}', Other("end", {"count": 7})),
        ('{"event": "end", "count": {"ok": "many"}}', Other("end", {"count": {"ok": "many"}})),
        ('{"event": "result", "seconds": true}', Other("result", {"seconds": True})),
        ('{"event": "say", "text": null}', Other("say", {"text": None})),
        ('{"event": 7}', None),
        ('{"but": "no event"}', None),
        ("[1]", None),
        ("Welcome!", None),
        (b"Gr\xfc\xdf Gott", None),
    ],
)
def test_a_line_and_its_event(line: str | bytes, event: Event | None) -> None:
    assert events.parse(line) == event


def test_a_large_input_is_announced() -> None:
    assert BlobHeader.parse(BlobHeader("0a", 7).line()) == BlobHeader("0a", 7)
    for line in (b"", b"{}\n", b"[1]\n", b'{"blob": "0a"', b'{"blob": "0a", "size": "much"}\n'):
        with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
            BlobHeader.parse(line)


@pytest.mark.parametrize(
    ("status", "change", "failure"),
    [
        (Status.OK, False, False),
        (Status.KEPT, False, False),
        (Status.CHANGED, True, False),
        (Status.WOULD_CHANGE, True, False),
        (Status.REMOVED, True, False),
        (Status.WOULD_REMOVE, True, False),
        (Status.UNKNOWN, True, False),
        (Status.FAILED, False, True),
        (Status.SKIPPED, False, True),
        ("rotated", True, False),
    ],
)
def test_each_status_counts(status: str, change: bool, failure: bool) -> None:
    assert is_change(status) is change
    assert has_failed({status: 1, "ok": 2}) is failure
    assert has_failed({status: 0}) is False


def test_each_status_has_a_mark_and_each_mark_a_colour() -> None:
    assert set(MARKS) == set(Status)
    assert set(MARKS.values()) == set(COLOURS)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_newer_agent_s_words_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    report = RunReport(Reporter(), "plan", hosts=1)
    report.handle("host", NEWER)
    report.handle("host", Other("warn", {"text": "the disk is old"}))
    report.summary([Outcome("host", [NEWER], {"rotated": 1, "ok": 2})])
    said = capsys.readouterr().err
    assert "rotate /x" in said
    assert "rotated" in said.splitlines()[0]
    assert "warn: text the disk is old" in said
    assert "0 to change, 0 to remove, 0 unknown until others are applied, 1 rotated, 2 held" in said
    assert Outcome("host", count={"rotated": 1}).changes == 1


# --- defined once ---------------------------------------------------------------------------------

# These write files and JSON for programs, with keys of their own.
OTHER_FORMATS = {"as_json", "_write_journal"}
WORDS = {*events.KNOWN, *map(str, Status)}
DISTINCTIVE = {"would-change", "would-remove", "hello", "entered"}  # in no other sense anywhere


def bare_words(path: Path, text: str) -> Iterator[str]:
    """The strings that are words of events, in a file that deals with events."""
    deals = any(name.startswith("provision.agent.events.") for _, name in imports(path, text))
    tree = ast.parse(text)
    excused = {
        id(part)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name in OTHER_FORMATS
        for part in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in excused and isinstance(node.value, str):
            word = node.value
            if word in (WORDS if deals else DISTINCTIVE) or '"event"' in word or word == "event":
                yield f"{path.name}:{node.lineno}: {word[:30]}"


def test_no_word_of_an_event_is_written_a_second_time() -> None:
    # The loader says its one word before any file of ours is there; see test_bundle.py.
    own = ("provision.agent.events", "provision.ssh.loader")
    files = [path for path in sources("provision", "fabfile.py") if module(path) not in own]
    assert [word for path in files for word in bare_words(path, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "text",
    [
        'from .events import Say\ncount = {"failed": 1}',
        'from .events import Say\ncount.get("ok", 0)',
        'from .events import Say\nif kind == "result": pass',
        'emit("would-change")',
        'line = {"event": x}',
        "line = '{\"event\": 1}'",
    ],
)
def test_a_bare_word_is_found(text: str) -> None:
    assert [*bare_words(Path(events.__file__).with_name("loop.py"), text)]
