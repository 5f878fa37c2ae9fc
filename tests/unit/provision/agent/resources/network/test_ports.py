from __future__ import annotations

import errno
import socket

import pytest

from provision.agent.resources import Problem, Service
from provision.agent.resources.network import ports
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine
from tests.support.fakes.systemd import Unit

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1FBD 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 71 2 0 0
   1: 00000000:1FBD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 72 2 0 0
   2: 0100007F:0016 0100007F:1FBD 01 00000000:00000000 00:00000000 00000000     0        0 73 2 0 0
"""


@pytest.mark.parametrize(
    ("port", "listening", "inodes"),
    [
        (8125, False, {"71", "72"}),
        (8125, True, {"72"}),
        (22, False, {"73"}),
        (22, True, set()),
        (80, False, set()),
    ],
)
def test_sockets_on_a_port(port: int, listening: bool, inodes: set[str]) -> None:
    assert ports.parse_sockets(TABLE, port, listening=listening) == inodes


def test_no_table_has_no_sockets() -> None:
    assert ports.parse_sockets("", 80, listening=False) == set()


UNIT = "[Service]\nExecStart=/bin/true\n"
PORTS = (("udp", "127.0.0.1", 8125, "[monitoring] statsd_port"),)


@pytest.mark.parametrize("state", ["inactive", "failed", "activating"])
def test_a_port_that_somebody_has_is_named_before_anything_is_done(host: Host, state: str) -> None:
    host.taken_ports = {8125}
    host.units["ours"] = Unit(state)
    service = Service("ours", UNIT, ports=PORTS)
    with pytest.raises(Problem) as caught:
        service.check(FakeMachine(host, (service,)))
    assert caught.value.what == "ours needs UDP port 8125 of 127.0.0.1, which another (pid 7) has taken"
    assert "[monitoring] statsd_port" in caught.value.hint
    assert not host.ran("systemctl", "restart")


def test_a_port_of_a_service_that_is_ending_is_its_own(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.taken_ports = {8125}
    host.units["ours"] = Unit("deactivating")
    monkeypatch.setattr(ports, "find_holder", lambda *_: ports.Holder("python", 7, "ours"))
    service = Service("ours", UNIT, ports=PORTS)
    assert service.check(FakeMachine(host, (service,))) is not None


def test_a_port_that_no_setting_moves_is_said_to_be_fixed(host: Host) -> None:
    host.taken_ports = {8081}
    service = Service("ours", UNIT, ports=(("tcp", "172.30.0.1", 8081, ""),))
    with pytest.raises(Problem) as caught:
        service.check(FakeMachine(host, (service,)))
    assert caught.value.hint == "stop that; this port is fixed"


def test_a_port_of_a_running_service_is_its_own(host: Host) -> None:
    service = Service("ours", UNIT, ports=PORTS)
    machine = FakeMachine(host, (service,))
    service.apply(machine)
    host.taken_ports = {8125}
    assert service.check(machine) is None


def test_a_service_that_moves_finds_its_new_port_taken(host: Host) -> None:
    at = [Service("ours", UNIT, ports=(("tcp", "127.0.0.1", port, "[x] port"),)) for port in (8001, 8002)]
    machine = FakeMachine(host, tuple(at[:1]))
    at[0].apply(machine)
    host.taken_ports = {8001, 8002}
    at[0].check_possible(machine)
    with pytest.raises(Problem, match="ours needs TCP port 8002"):
        at[1].check_possible(machine)


def test_a_port_that_another_of_our_units_is_about_to_give_up_may_be_taken(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.taken_ports = {8125}
    service, other = Service("ours", UNIT, ports=PORTS), Service("other", UNIT)
    monkeypatch.setattr(ports, "find_holder", lambda *_: ports.Holder("node", 7, "other"))
    service.check_possible(FakeMachine(host, (service, other)))
    with pytest.raises(Problem, match=r"node \(pid 7\) of other\.service"):
        service.check_possible(FakeMachine(host, (service,)))


def test_an_address_that_is_not_there_yet_may_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = []

    class Probe:
        def __init__(self, *_: object) -> None:
            self.options: list[tuple[int, ...]] = []

        def __enter__(self) -> Probe:
            return self

        def __exit__(self, *_: object) -> None: ...

        def setsockopt(self, *words: int) -> None:
            self.options.append(words)

        def bind(self, address: tuple[str, int]) -> None:
            bound.append((address, self.options))
            raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(socket, "socket", Probe)
    assert not ports.is_free("tcp", "172.30.0.1", 8081)
    [(address, options)] = bound
    assert address == ("172.30.0.1", 8081)
    assert (socket.IPPROTO_IP, ports.IP_FREEBIND, 1) in options
