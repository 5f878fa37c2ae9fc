"""The agent as a program: its environment, its events, its lock, and hosts that it refuses."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from provision.agent import boot, distributions, space, state, turn
from provision.agent import main as agent
from provision.agent.distributions import Distribution
from provision.agent.loop import Run
from provision.agent.machine import LocalMachine
from provision.agent.resources import Problem, Resource
from provision.agent.state import State
from tests.support.fakes.host import DISTRIBUTION
from tests.support.fakes.things import A, Driver, Thing


@pytest.fixture
def program(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Runs the agent's main with a manifest, and returns its events. The driver stays on the line."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(distributions, "here", lambda: DISTRIBUTION)
    monkeypatch.setattr(space, "require", lambda *_: None)
    monkeypatch.setattr(boot, "ask", lambda *_: "running\n")
    monkeypatch.setattr(turn, "NOTICED_AFTER", 0)
    monkeypatch.setattr(turn, "_orphans", set)

    def main(mode: str, *things: Resource, **environment: str) -> list[dict[str, Any]]:
        sink = io.BytesIO()
        role = {"name": "one", "needs": [], "resources": [thing.to_json() for thing in things]}
        folder = str(driver.folder)
        manifest = {"mode": mode, "state": folder, "complete": True, "options": {}, "roles": [role]}
        manifest["environment"] = environment
        reader, writer = os.pipe()
        line.callback(os.close, writer)
        agent.main(os.fdopen(reader, "rb"), sink, manifest)
        return [json.loads(text) for text in sink.getvalue().splitlines()]

    with ExitStack() as line:
        yield main


def test_a_run_s_environment_is_that_of_all_it_starts(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "the host's own")
    monkeypatch.delenv("npm_config_registry", raising=False)
    program("plan", A, HTTP_PROXY="http://proxy:1", npm_config_registry="http://mirror")
    started: list[dict[str, str]] = []

    class Started(Exception):
        pass

    def start(_: object, *, env: dict[str, str], **__: Any) -> None:
        started.append(env)
        raise Started

    monkeypatch.setattr("provision.agent.machine.subprocess.Popen", start)
    with pytest.raises(Started):
        LocalMachine("one", None).run(["apt-get"], env={"LANG": "x"})  # type: ignore[arg-type]
    monkeypatch.delenv("npm_config_registry")
    wanted = {"HTTP_PROXY": "http://proxy:1", "npm_config_registry": "http://mirror", "LANG": "x"}
    assert wanted.items() <= started[0].items()


def test_events_begin_with_hello_and_end_with_the_count(program: Callable[..., Any], tmp_path: Path) -> None:
    first, *_, last = program("plan", A)
    assert (first["event"], first["os"]) == ("hello", "Made-up 1")
    assert (last["event"], last["count"]) == ("end", {"would-change": 1})
    assert not (tmp_path / "lock").exists()


def test_a_second_run_ends_with_the_lock_s_error(program: Callable[..., Any]) -> None:
    State.lock()
    _, error, end = program("apply", A)
    assert error["event"] == "error"
    assert "another run holds the lock" in error["what"]
    assert end["count"] == {"failed": 1}
    assert Thing.world == {}


def test_whoever_meets_a_first_boot_waits_for_it(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    State.lock("first boot")
    held, free = fcntl.flock, []

    def ends(_: float) -> None:
        free.append(True)
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)

    monkeypatch.setattr(time, "sleep", ends)
    said = [event for event in program("apply", A) if event["event"] == "say"]
    monkeypatch.setattr(fcntl, "flock", held)
    assert said[0]["text"].startswith("waiting for the run that is at work (first boot, pid ")
    assert free == [True]
    assert Thing.world == {"a": "x"}


def test_a_plan_needs_no_lock(program: Callable[..., Any]) -> None:
    State.lock()
    assert program("plan", A)[-1]["count"] == {"would-change": 1}


def test_the_lock_is_taken_before_the_state_is_read(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends in between must not be forgotten."""
    seen = []
    read = State.__init__

    def reads(self: State, folder: str) -> None:
        seen.append("read")
        read(self, folder)

    monkeypatch.setattr(State, "lock", lambda _: seen.append("lock"))
    monkeypatch.setattr(State, "__init__", reads)
    program("apply")
    assert seen == ["lock", "read"]


@pytest.mark.parametrize(
    ("error", "what", "hint"),
    [
        (
            Problem("Fedora is not supported", "known are Debian"),
            "Fedora is not supported",
            "known are Debian",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/var"),
            "/var: No space left on device",
            "free some",
        ),
    ],
)
def test_a_host_that_cannot_be_used_is_an_error_event(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: Exception, what: str, hint: str
) -> None:
    def refuse() -> Distribution:
        raise error

    monkeypatch.setattr(distributions, "here", refuse)
    event, end = program("apply", A)
    assert (event["event"], event["what"]) == ("error", what)
    assert hint in event["hint"]
    assert end["count"] == {"failed": 1}


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        ("initializing\n", True),
        ("starting\n", True),
        ("running\n", False),
        ("degraded\n", False),
        ("", False),
    ],
)
def test_a_machine_that_starts_is_given_time_before_anything_is_looked_at(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, answer: str, waits: bool
) -> None:
    asked: list[str] = []

    def ask(*argv: str) -> str:
        asked.append(" ".join(argv))
        Thing.log.append("asked")
        return answer

    monkeypatch.setattr(boot, "ask", ask)
    said = [event["text"] for event in program("apply", A) if event["event"] == "say"]
    assert ("waiting until the host has started" in said) is waits
    assert asked[1:] == (["timeout 120 systemctl is-system-running --wait"] if waits else [])
    assert Thing.log[: len(asked)] == ["asked"] * len(asked), "before the first resource"


def test_what_a_run_claimed_and_did_not_finish_is_known_as_unfinished(driver: Driver) -> None:
    def complete() -> dict[str, bool]:
        return {id_: applied.complete for id_, applied in State(str(driver.folder)).applied.items()}

    State(str(driver.folder)).claim("one", A, created=True)
    assert complete() == {"thing:a": False}
    driver(one=[A])
    assert complete() == {"thing:a": True}
    assert "complete" not in (driver.folder / "applied.json").read_text(), "as an older version wrote it"
    State(str(driver.folder)).claim("one", A, backup="/x")
    assert complete() == {"thing:a": True}


def test_a_run_that_finds_all_well_after_one_that_failed_says_so_once(driver: Driver) -> None:
    broken = Thing("b", behaviour="forgets")
    driver(one=[A, broken])
    assert driver.journal[-1]["failed"] == ["one"]
    Thing.world["b"] = "x"  # by hand
    driver(one=[A, broken])
    assert (driver.journal[-1]["failed"], driver.journal[-1]["changed"]) == ([], [])
    lines = len(driver.journal)
    driver(one=[A, broken])
    assert len(driver.journal) == lines


def test_a_journal_that_cannot_be_written_does_not_hide_the_failure(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "journal.jsonl")

    monkeypatch.setattr(State, "journal", full)
    events = program("apply", A, Thing("b", behaviour="full"))
    failed = [event["id"] for event in events if event.get("status") == "failed"]
    assert failed == ["thing:b", "journal"]
    assert events[-1]["event"] == "end"


def test_space_is_asked_for_before_the_first_run_only(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise Problem("only little free")

    program("apply", A)
    monkeypatch.setattr(space, "require", full)
    monkeypatch.setattr(state, "LOCK", f"{state.LOCK}2")
    assert program("apply", A)[-1]["count"] == {"ok": 1}
    monkeypatch.setattr(state, "LOCK", f"{state.LOCK}3")
    assert program("apply")[-1]["count"] == {"removed": 1}
    monkeypatch.setattr(state, "LOCK", f"{state.LOCK}4")
    assert "only little free" in program("apply", A)[-2]["what"]
    assert "only little free" in program("plan", A)[-2]["what"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 1, "resources": [{"id": "thing:a", "ro',
        '{"version": 1, "resources": [{"id": "thing:a", "role": "one", "resource": "x"}]}',
        '{"version": 1, "resources": [{"role": "one", "resource": {"kind": "Thing"}}]}',
        '{"version": 1, "resources": [{"id": "thing:a", "role": "one", "resource": {}, "more": 1}]}',
    ],
)
def test_a_damaged_state_is_named_and_nothing_is_changed(
    program: Callable[..., list[dict[str, Any]]], driver: Driver, text: str
) -> None:
    driver.folder.mkdir()
    path = driver.folder / "applied.json"
    path.write_text(text)
    for mode in ("plan", "apply"):
        _, error, end = program(mode, A)
        assert f"{path} is damaged" in error["what"]
        assert f"mv {path}" in error["hint"]
        assert end["count"] == {"failed": 1}
    assert (Thing.world, path.read_text()) == ({}, text)


def test_a_fault_of_the_agent_s_own_ends_the_run_in_words(
    program: Callable[..., list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(Run, "plan", breaks)
    _, error, end = program("plan", A)
    assert (error["what"], end["count"]) == ("ValueError: no such thing", {"failed": 1})
    assert "report it" in error["hint"]
