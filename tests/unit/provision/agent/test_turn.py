"""The turn of a run: after one that ends, after programs of a killed one, and never beside one at work."""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.agent import state, turn
from provision.agent.channel import Channel
from provision.agent.loop import Run
from provision.agent.machine import LocalMachine
from provision.agent.resources import Abandoned, CommandFailed
from provision.agent.state import Busy, State
from tests.support.fakes.things import Driver, Thing


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Channel:
    monkeypatch.setattr(state, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(turn, "_orphans", set)
    monkeypatch.setenv(turn.MARK, "")
    return Channel(io.BytesIO(), io.BytesIO())


def said(channel: Channel) -> list[str]:
    sink = channel._sink
    assert isinstance(sink, io.BytesIO)
    return [json.loads(line)["text"] for line in sink.getvalue().splitlines()]


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Lets what happens during the next sleeps happen, in place of sleeping. Returns the sleeps."""
    made: list[float] = []

    def during(*events: Callable[[], object]) -> list[float]:
        left = iter(events)

        def sleep(seconds: float) -> None:
            made.append(seconds)
            next(left, lambda: None)()

        monkeypatch.setattr(time, "sleep", sleep)
        return made

    return during


def held(text: str) -> int:
    """The lock as another process has it. Closing the handle ends that one."""
    handle = os.open(state.LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.write(handle, text.encode())
    return handle


def test_a_run_whose_driver_has_gone_is_waited_for_with_words(
    channel: Channel, sleeps: Callable[..., list[float]]
) -> None:
    handle = held("pid 7, since then, its driver has gone")
    sleeps(lambda: None, lambda: os.close(handle))
    turn.take(channel, alone=False, timeout=1)
    assert said(channel) == ["taking over from the run that ends (pid 7, since then, its driver has gone)"]


def test_an_agent_has_a_moment_to_notice_that_its_driver_was_killed(
    channel: Channel, sleeps: Callable[..., list[float]]
) -> None:
    handle = held("pid 7, since then")
    sleeps(lambda: State.note(turn.ENDING), lambda: os.close(handle))
    turn.take(channel, alone=False, timeout=1)
    assert len(said(channel)) == 1


def test_a_run_at_work_is_never_taken_over(
    channel: Channel, sleeps: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "NOTICED_AFTER", 0.05)
    handle = held("pid 7, since then")
    made = sleeps()
    with pytest.raises(Busy, match=r"another run holds the lock \(pid 7, since then\)"):
        turn.take(channel, alone=False, timeout=1)
    assert made
    assert said(channel) == []
    os.close(handle)


def test_a_run_whose_driver_goes_says_so_to_the_next(channel: Channel) -> None:
    turn.take(channel, alone=False, timeout=1)
    assert turn.ENDING not in Path(state.LOCK).read_text()
    channel.gone.set()
    end = time.monotonic() + 5
    while turn.ENDING not in Path(state.LOCK).read_text():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_run_that_ends_by_itself_is_not_taken_for_a_killed_one(channel: Channel) -> None:  # noqa: ARG001
    assert State.lock() is False
    State.leave()
    assert Path(state.LOCK).read_text() == ""
    Path(state.LOCK).unlink()
    State.leave()
    State.note(turn.ENDING)
    assert not Path(state.LOCK).exists(), "an uninstall leaves no lock"


def test_only_a_run_that_has_had_its_turn_leaves(channel: Channel) -> None:
    os.close(held("pid 7, since then"))
    turn.leave()
    assert Path(state.LOCK).read_text() == "pid 7, since then", "a plan leaves the lock of others alone"
    turn.take(channel, alone=False, timeout=1)
    turn.leave()
    assert Path(state.LOCK).read_text() == ""


def test_programs_of_a_killed_run_are_waited_for(
    channel: Channel, sleeps: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(held("pid 7, since then"))
    at_work = [{"uv (pid 8)", "npm (pid 9)"}, {"uv (pid 8)"}, {"uv (pid 8)"}, set()]
    monkeypatch.setattr(turn, "_orphans", lambda: at_work.pop(0))
    sleeps()
    turn.take(channel, alone=False, timeout=60)
    assert said(channel) == [
        "waiting for npm (pid 9), uv (pid 8), which a killed run has started",
        "waiting for uv (pid 8), which a killed run has started",
    ]


def test_a_program_that_stays_does_not_stop_runs_for_ever(
    channel: Channel, sleeps: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(held("pid 7, since then"))
    monkeypatch.setattr(turn, "_orphans", lambda: {"daemon (pid 8)"})
    sleeps()
    turn.take(channel, alone=False, timeout=0.01)
    assert said(channel)[-1].startswith("going on beside daemon (pid 8)")


def test_nothing_is_looked_for_after_a_run_that_ended_by_itself(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_orphans", lambda: pytest.fail("it looked"))
    turn.take(channel, alone=False, timeout=1)


@pytest.mark.parametrize(
    ("environ", "mark"),
    [
        (b"", ""),
        (b"PATH=/bin\0HUBWRIGHT_RUN=12.345\0LANG=C\0", "12.345"),
        (b"XHUBWRIGHT_RUN=12.345\0", ""),
        (b"A=HUBWRIGHT_RUN=12.345\0", ""),
        (b"HUBWRIGHT_RUN=\xff\0", "\ufffd"),
    ],
)
def test_parse_mark(environ: bytes, mark: str) -> None:
    assert turn.parse_mark(environ) == mark


def test_parse_start() -> None:
    numbers = " ".join(str(number) for number in range(4, 53))
    assert turn.parse_start(f"7 (a ) b) S {numbers}\n") == "22"


# --- programs that may be ended -------------------------------------------------------------------


class Program:
    """A program in place of a real one. It ends when it is sent the signal `heeds`."""

    pid = 4711

    def __init__(self, heeds: int) -> None:
        self.heeds = heeds
        self.ended = threading.Event()
        self.sent: list[int] = []

    def kill(self, group: int, number: int) -> None:
        assert group == self.pid
        if self.ended.is_set():
            raise ProcessLookupError
        self.sent.append(number)
        if number == self.heeds:
            self.ended.set()

    def poll(self) -> int | None:
        return 0 if self.ended.is_set() else None

    def wait(self, timeout: float) -> int:
        if not self.ended.is_set():
            raise subprocess.TimeoutExpired("program", timeout)
        return 0


@pytest.mark.parametrize(
    ("heeds", "sent"),
    [(signal.SIGTERM, [signal.SIGTERM]), (signal.SIGKILL, [signal.SIGTERM, signal.SIGKILL])],
)
def test_a_program_ends_with_the_driver(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, heeds: int, sent: list[int]
) -> None:
    program = Program(heeds)
    monkeypatch.setattr(os, "killpg", program.kill)
    channel.gone.set()
    machine = LocalMachine("one", SimpleNamespace(channel=channel))  # type: ignore[arg-type]
    machine._end_with_driver(program)  # type: ignore[arg-type]
    assert program.sent == sent


@pytest.mark.parametrize(
    ("interruptible", "gone", "error"),
    [(True, True, Abandoned), (True, False, CommandFailed), (False, True, CommandFailed)],
)
def test_only_a_program_that_may_be_ended_is_given_up(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, interruptible: bool, gone: bool, error: type[Exception]
) -> None:
    class Failed:
        returncode = -15

        def __init__(self, *_: Any, start_new_session: bool, **__: Any) -> None:
            assert start_new_session == interruptible

        def __enter__(self) -> Failed:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def communicate(self, _: object) -> tuple[str, str]:
            return "", ""

        def poll(self) -> int:
            return self.returncode

    monkeypatch.setattr(subprocess, "Popen", Failed)
    if gone:
        channel.gone.set()
    machine = LocalMachine("one", SimpleNamespace(channel=channel))  # type: ignore[arg-type]
    with pytest.raises(error):
        machine.run(["uv"], interruptible=interruptible)


def test_what_was_given_up_is_no_failure(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Run = driver.prepare(one=[Thing("a"), Thing("b")])

    def given_up(*_: object) -> None:
        run.channel.gone.set()
        raise Abandoned

    monkeypatch.setattr(Thing, "apply", given_up)
    run.apply()
    assert dict(run.count) == {"skipped": 2}
    assert [event["summary"] for event in driver.results] == ["the driver has gone"] * 2
