"""A range for notebooks that this host reaches in another way is refused, with the way's name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import DockerNetwork, Problem
from provision.agent.resources.docker.network import parse_ranges
from provision.agent.resources.network import ranges
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine, machine_for

NETWORK = DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "ours0")
MAIN_TABLE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000090A\t0109090A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def route(dst: str, dev: str, **more: Any) -> dict[str, Any]:
    return {"dst": dst, "dev": dev, "flags": [], **more}


LAN = route("192.0.2.0/24", "eth0", protocol="kernel", scope="link")
DEFAULT = route("default", "eth0", gateway="192.0.2.1")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        pytest.param(route("10.9.4.0/24", "eth1"), "the route 10.9.4.0/24 to eth1", id="a network"),
        pytest.param(
            route("10.0.0.0/8", "tun0", gateway="10.8.0.1"),
            "the route 10.0.0.0/8 to tun0 by way of 10.8.0.1",
            id="a VPN, wider",
        ),
        pytest.param(route("10.9.3.2", "ppp0"), "the route 10.9.3.2/32 to ppp0", id="one address"),
        pytest.param(
            route("10.9.0.7", "eth0", type="local", table="local"),
            "the host's own address 10.9.0.7 on eth0",
            id="the host's own",
        ),
        pytest.param(
            route("10.9.0.0/16", "tailscale0", table="52"), "to tailscale0", id="another table than main"
        ),
        pytest.param({"dst": "10.9.0.0/16", "nexthops": []}, "to several devices", id="several ways"),
    ],
)
def test_a_route_is_named_with_its_device(host: Host, entry: dict[str, Any], words: str) -> None:
    host.routes = [DEFAULT, LAN, entry]
    with pytest.raises(Problem) as caught:
        NETWORK.check(machine_for(host, NETWORK))
    assert caught.value.what.startswith("the range 10.9.0.0/20 of the notebooks' network overlaps ")
    assert words in caught.value.what
    assert "[network] subnet: 172.30.0.0/20 is free here" in caught.value.hint
    assert not host.ran("docker", "network", "create")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(route("0.0.0.0/1", "tun0"), id="half of everything"),
        pytest.param({"type": "blackhole", "dst": "10.0.0.0/8", "flags": []}, id="a way to nowhere"),
        pytest.param(route("10.9.15.255", "ours0", type="broadcast", table="local"), id="broadcast"),
        pytest.param(route("10.9.0.0/20", "ours0"), id="its own bridge"),
        pytest.param(route("10.9.16.0/20", "eth1"), id="the range beside it"),
    ],
)
def test_other_routes_do_not_matter(host: Host, entry: dict[str, Any]) -> None:
    host.routes = [DEFAULT, LAN, entry]
    assert NETWORK.check(machine_for(host, NETWORK)) is not None


def test_a_network_that_is_there_stays_when_a_route_comes_later(host: Host) -> None:
    machine = machine_for(host, NETWORK)
    NETWORK.apply(machine)
    host.routes = [route("10.9.4.0/24", "tun0")]
    assert NETWORK.check(machine) is None
    moved = DockerNetwork("ours", "10.9.0.0/16", "10.9.0.1", "ours0")
    with pytest.raises(Problem, match="tun0"):
        moved.check_possible(machine)


def test_another_network_of_docker_s_has_no_route_and_is_seen(host: Host) -> None:
    machine = machine_for(host, NETWORK)
    pool = {"Config": [{"Subnet": "fd00::/64"}, {"Subnet": "10.9.8.0/24"}]}
    host.networks["theirs"] = {"Name": "theirs", "Id": "0a" * 32, "IPAM": pool, "Options": None}
    with pytest.raises(Problem, match=r"overlaps Docker's network theirs$"):
        NETWORK.check_possible(machine)


def test_bridges_of_networks() -> None:
    option = {"com.docker.network.bridge.name": "b0"}
    found = [
        {
            "Name": "a",
            "Id": "0123456789abcdef",
            "IPAM": {"Config": [{"Subnet": "10.1.0.0/16"}]},
            "Options": {},
        },
        {"Name": "b", "Id": "1" * 64, "IPAM": {"Config": [{"Subnet": "10.2.0.0/16"}]}, "Options": option},
        {"Name": "host", "Id": "2" * 64, "IPAM": {"Config": None}, "Options": None},
    ]
    assert parse_ranges(json.dumps(found)) == [
        ("a", "br-0123456789ab", "10.1.0.0/16"),
        ("b", "b0", "10.2.0.0/16"),
    ]


@pytest.mark.parametrize(
    ("routes", "subnet", "said"),
    [
        ([], "172.17.16.0/20", "172.17.0.0/16"),
        ([route("172.17.0.0/16", "eth0")], "172.18.0.0/24", "172.18.0.0/16"),
        ([], "172.18.0.0/24", ""),
    ],
)
def test_the_bridge_of_an_engine_to_come_is_counted(
    host: Host, routes: list[dict[str, Any]], subnet: str, said: str
) -> None:
    host.routes = routes
    network = DockerNetwork("ours", subnet, str(IPv4Network(subnet)[1]), "ours0")
    if said:
        with pytest.raises(Problem, match=f"docker0, which takes {said}"):
            network.check_possible(FakeMachine(host))
    else:
        network.check_possible(FakeMachine(host))


@pytest.mark.parametrize(
    ("told", "reached"),
    [
        ("10.9.2.3", "10.9.2.3"),
        ("::ffff:10.9.2.3", "10.9.2.3"),
        ("2002:a09:203::1", "10.9.2.3"),
        ("2001:db8::1", ""),
        ("fe80::1%eth0", ""),
        ("UNKNOWN", ""),
    ],
)
def test_packets_to_the_operator(told: str, reached: str) -> None:
    assert ranges.reached_as(told) == (IPv4Address(reached) if reached else None)


def processes(folder: Path, parents: Mapping[int, tuple[int, bytes]]) -> None:
    """Write /proc of these processes: number → number of the parent, environment."""
    for pid, (parent, environment) in parents.items():
        (folder / str(pid)).mkdir(parents=True)
        (folder / str(pid) / "stat").write_text(f"{pid} (a) b (c) S {parent} 1 1 0")
        (folder / str(pid) / "environ").write_bytes(environment)


@pytest.mark.parametrize(
    ("peer", "cut"), [("10.9.2.3", True), ("::ffff:10.9.2.3", True), ("2001:db8::1", False)]
)
def test_the_operator_s_own_connection_is_never_cut(
    host: Host, monkeypatch: pytest.MonkeyPatch, peer: str, cut: bool
) -> None:
    host.routes = [DEFAULT]
    monkeypatch.setattr(os, "getpid", lambda: 30)
    connection = f"HOME=/\0SSH_CONNECTION={peer} 50000 192.0.2.2 22\0LANG=C\0".encode()
    folder = Path(host.path("/proc"))
    processes(folder, {30: (20, b"SUDO_USER=ada\0"), 20: (10, connection), 10: (1, b""), 1: (0, b"")})
    if cut:
        with pytest.raises(
            Problem, match=f"your own SSH connection, which comes from {peer}: it would be cut"
        ):
            NETWORK.check_possible(machine_for(host, NETWORK))
    else:
        NETWORK.check_possible(machine_for(host, NETWORK))


def test_a_name_server_in_the_range(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search example.org\nnameserver 127.0.0.53\nnameserver 10.9.0.53\n")
    monkeypatch.setattr(ranges, "RESOLVERS", (str(tmp_path / "resolv.conf"),))
    with pytest.raises(Problem, match=r"the name server 10\.9\.0\.53"):
        NETWORK.check_possible(machine_for(host, NETWORK))


def test_a_host_without_the_program_ip(host: Host) -> None:
    assert [(str(use.range), use.device) for use in ranges.parse_main_table(MAIN_TABLE)] == [
        ("192.0.2.0/24", "eth0"),
        ("10.9.0.0/16", "tun0"),
    ]
    table = Path(host.path("/proc/net/route"))
    table.parent.mkdir(parents=True)
    table.write_text(MAIN_TABLE)
    host.script("ip", answer=Problem("the program ip is not installed"))
    with pytest.raises(Problem, match=r"to tun0 by way of 10\.9\.9\.1"):
        NETWORK.check_possible(machine_for(host, NETWORK))


def test_a_proposal_is_free(host: Host) -> None:
    host.routes = [route(each, "tun0") for each in ("172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16")]
    with pytest.raises(Problem) as caught:
        NETWORK.check_possible(machine_for(host, NETWORK))
    assert "100.96.0.0/20 is free here" in caught.value.hint
    host.routes += [route("100.64.0.0/10", "tailscale0"), route("198.18.0.0/15", "eth1")]
    with pytest.raises(Problem) as caught:
        NETWORK.check_possible(machine_for(host, NETWORK))
    assert caught.value.hint.endswith("choose another range in [network] subnet")
