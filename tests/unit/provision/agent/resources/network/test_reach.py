"""Ports of the host, tried from the network of a container."""

from __future__ import annotations

import os
import socket
import threading
from types import SimpleNamespace

import pytest

from provision.agent.resources import CommandFailed, Problem, ReachableFromContainer
from provision.agent.resources.network import reach
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine

API = ReachableFromContainer("keeper", "172.30.0.1", 8081, "the hub's API")


def test_a_port_that_containers_reach_needs_nothing(host: Host) -> None:
    host.installed.add("docker.io")
    machine = FakeMachine(host)
    assert API.check(machine) is None
    API.check_usable(machine)


def test_a_port_that_a_firewall_keeps_from_containers_is_told(host: Host) -> None:
    host.unreachable = "timed out"
    with pytest.raises(
        Problem, match=r"do not reach the hub's API at 172\.30\.0\.1:8081: timed out"
    ) as caught:
        API.check_usable(FakeMachine(host))
    assert "firewall" in caught.value.hint


def test_a_container_that_does_not_come_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100, 10))
    monkeypatch.setattr(reach, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    machine = FakeMachine(host)

    def none(*_: object, **__: object) -> str:
        raise CommandFailed(["docker"], 1, "Error: No such object: keeper")

    monkeypatch.setattr(FakeMachine, "run", none)
    with pytest.raises(Problem, match="the container keeper does not run"):
        API.check_usable(machine)


def test_the_attempt_is_made_in_the_other_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of its own makes the attempt: only that thread changes its network."""
    seen: list[tuple[str, object]] = []
    here = threading.get_ident()

    class Connection:
        def close(self) -> None:
            seen.append(("closed", threading.get_ident() != here))

    def connect(place: object, timeout: float) -> Connection:  # noqa: ARG001
        seen.append(("asked", place))
        return Connection()

    monkeypatch.setattr(reach, "enter_network", lambda pid: seen.append(("entered", pid)))
    monkeypatch.setattr(socket, "create_connection", connect)
    assert reach.try_from(7, "172.30.0.1", 8081) == ""
    assert seen == [("entered", 7), ("asked", ("172.30.0.1", 8081)), ("closed", True)]


def test_why_it_fails_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(reach, "enter_network", lambda _: None)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert reach.try_from(os.getpid(), "172.30.0.1", 8081) == "timed out"
    monkeypatch.setattr(reach, "enter_network", refuse)
    assert reach.try_from(os.getpid(), "172.30.0.1", 8081) == "timed out"
