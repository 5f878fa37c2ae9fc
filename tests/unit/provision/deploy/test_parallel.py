"""Work on many hosts at once: its results, its interruption, and the commands that use it."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from provision.deploy import inspect, parallel
from provision.deploy.parallel import for_each_host
from provision.errors import HubwrightError
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, OpenConnections, Target
from tests.support.interrupts import interruptible

ONE, TWO, THREE = Target("one"), Target("two"), Target("three")


def test_results_come_in_the_order_of_the_hosts() -> None:
    second = threading.Event()

    def work(target: Target) -> str:
        if target is ONE:
            assert second.wait(10)
        second.set()
        return target.name

    assert for_each_host([ONE, TWO], Access(), work) == ["one", "two"]
    assert for_each_host([], Access(), work) == []


@pytest.mark.parametrize("bound", [1, 3])
def test_no_more_hosts_than_the_bound_are_worked_on_at_once(
    monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    """Each host keeps its place until the bound is reached and one more would have been noticed."""
    monkeypatch.setattr(parallel, "HOSTS_AT_ONCE", bound)
    lock, full = threading.Lock(), threading.Event()
    at_work, most = 0, 0

    def work(target: Target) -> str:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
            if at_work >= bound:
                full.set()
        assert full.wait(10), "fewer than the bound are at work"
        time.sleep(0.02)  # without a bound, all the others begin meanwhile
        with lock:
            at_work -= 1
        return target.name

    targets = [Target(str(number)) for number in range(9)]
    assert for_each_host(targets, Access(), work) == [target.name for target in targets]
    assert most == bound


def test_an_interruption_hangs_up_and_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CLOSE_TIMEOUT", 0.2)
    monkeypatch.setattr(parallel, "HOSTS_AT_ONCE", 2)
    access, never, begun, hung_up = Access(), threading.Event(), threading.Event(), []
    connection: Any = SimpleNamespace(
        gateway=None, client=SimpleNamespace(close=lambda: hung_up.append("closed"))
    )
    access.connections.add(connection)

    def work(target: Target) -> None:
        if target is ONE:
            begun.set()
            never.wait(10)
        assert target is not THREE, "nothing is begun any more"
        assert begun.wait(10)
        raise KeyboardInterrupt  # as good as one that comes from outside

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for_each_host([ONE, TWO, THREE], access, work)
    never.set()
    assert time.monotonic() - began < 5
    assert (hung_up, access.connections.closed) == (["closed"], True)


def test_ctrl_c_is_noticed_whichever_thread_the_kernel_gives_it_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "CLOSE_TIMEOUT", 0.05)
    never = threading.Event()

    def work(_: Target) -> None:
        time.sleep(0.1)  # until everything waits
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        never.wait(30)

    began = time.monotonic()
    with interruptible(), pytest.raises(KeyboardInterrupt):
        for_each_host([ONE], Access(), work)
    never.set()
    assert time.monotonic() - began < 10


def test_nothing_of_it_keeps_the_program_from_ending() -> None:
    """An executor would, as the interpreter waits for its threads at the end."""

    def work(_: Target) -> bool:
        return threading.current_thread().daemon

    assert for_each_host([ONE], Access(), work) == [True]


# --- status ---------------------------------------------------------------------------------------


def test_a_fault_on_one_host_is_not_the_others_(
    monkeypatch: pytest.MonkeyPatch, hub: Callable[..., Settings]
) -> None:
    answer = {"units": {}, "servers": 1, "deployed": True, "last_run": None, "disk_free": 1}

    def command(target: Target, *_: Any) -> str:
        if target is TWO:
            raise RuntimeError("boom")
        return "no JSON" if target is THREE else json.dumps(answer)

    monkeypatch.setattr(inspect, "command", command)
    one, two, three = inspect.status(hub(), [ONE, TWO, THREE], Access(), Reporter())
    assert (one.servers, one.error) == (1, None)
    assert str(two.error) == "two: RuntimeError: boom"
    assert str(three.error).startswith("three: JSONDecodeError")


# --- logs -----------------------------------------------------------------------------------------


@pytest.fixture
def journals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals of all hosts but `two`, which is away. With --follow, each goes on until all have begun."""
    together = threading.Barrier(2)

    def command(target: Target, _: Access, line: str, show: Callable[[str], None]) -> str:
        if target is TWO:
            raise HubwrightError("does not answer", where=target.name, hint="is it on?")
        show("begins")
        if "--follow" in line:
            together.wait(10)
        show("ends")
        return ""

    monkeypatch.setattr(inspect, "command", command)


def logs(*targets: Target, follow: bool) -> bool:
    return inspect.logs(targets, Access(), Reporter(), unit="jupyterhub", lines=5, follow=follow)


@pytest.mark.usefixtures("journals")
def test_the_logs_of_one_host_have_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert logs(ONE, follow=False)
    assert capsys.readouterr().out == "begins\nends\n"


@pytest.mark.usefixtures("journals")
def test_the_logs_of_several_hosts_come_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert not logs(ONE, TWO, THREE, follow=False)
    assert capsys.readouterr() == (
        "one begins\none ends\nthree begins\nthree ends\n",
        "error: two: does not answer\n next: is it on?\n",
    )


@pytest.mark.usefixtures("journals")
def test_several_hosts_are_followed_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert logs(ONE, THREE, follow=True)
    lines = capsys.readouterr().out.splitlines()
    assert set(lines[:2]) == {"one begins", "three begins"}
    assert set(lines[2:]) == {"one ends", "three ends"}


def test_following_ends_without_complaints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hung_up = threading.Event()

    def close(connections: OpenConnections) -> None:
        connections.closed = True
        hung_up.set()

    def command(target: Target, *_: Any, **__: Any) -> str:
        if target is ONE:
            raise KeyboardInterrupt  # as good as one that comes from outside
        assert hung_up.wait(10)
        raise HubwrightError("the connection broke", where=target.name)

    monkeypatch.setattr(OpenConnections, "close", close)
    monkeypatch.setattr(inspect, "command", command)
    with pytest.raises(KeyboardInterrupt):
        logs(ONE, TWO, follow=True)
    assert capsys.readouterr() == ("", "")
