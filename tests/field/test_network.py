"""Networks as people have them: ranges and ports that are in use, links of less than Ethernet's size.

A host is refused with the name of what is in the way, before anything on it is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.hosts.containers import Host, bare_host
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import Operator
from tests.support.visitor import visit

VPN = """
ip netns add vpn
ip link add tun7 type veth peer name inner netns vpn
ip address add 10.7.0.1/24 dev tun7
ip link set tun7 up
ip -n vpn address add 10.7.0.2/24 dev inner
ip -n vpn link set inner up
ip route add 10.64.0.0/12 via 10.7.0.2
ip route add 10.96.0.0/16 via 10.7.0.2 table 52
"""


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    """A host with a VPN, and without a hub."""
    with bare_host(operator, f"{operator.hub['vm']['name']}-network") as host:
        host.run(VPN)
        yield host


def refused(
    operator: Operator, host: Host, there: tuple[str, ...], *words: str, **sections: dict[str, object]
) -> None:
    """Fail unless a plan and an apply name all of these words, and leave the host as it was."""
    before = host.snapshot("host")
    with operator.changed(**{**QUICK, **sections}):
        planned, applied = (operator.hubwright(verb, *there, code=1) for verb in ("plan", "apply"))
    applied.says(*words)
    assert [word for word in words if word not in planned.err] == []
    assert host.snapshot("host") == before
    assert not host.succeeds("test -e /var/lib/hubwright || command -v docker")


@pytest.mark.parametrize(
    ("subnet", "words"),
    [
        ("10.70.0.0/20", "the route 10.64.0.0/12 to tun7 by way of 10.7.0.2"),
        ("10.96.16.0/20", "the route 10.96.0.0/16 to tun7"),
        pytest.param("10.7.0.0/20", "the host's own address 10.7.0.1 on tun7", marks=pytest.mark.full),
        ("172.18.0.0/20", "Docker's own bridge docker0, which takes 172.18.0.0/16"),
    ],
)
def test_a_range_that_is_in_use_is_refused_by_name(
    operator: Operator, host: Host, there: tuple[str, ...], subnet: str, words: str
) -> None:
    named = (f"the range {subnet} of the notebooks' network", words, "is free here")
    refused(operator, host, there, *named, network={"subnet": subnet})


def test_the_operator_s_own_connection_stays(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    """Tests come from the gateway of the network that the host's own address is in."""
    gateway = host.run("ip route show default | cut -d' ' -f3").strip()
    subnet = f"{gateway.rpartition('.')[0]}.0/24"
    named = (f"your own SSH connection, which comes from {gateway}: it would be cut", "to eth0")
    refused(operator, host, there, *named, network={"subnet": subnet})


def test_a_port_that_is_taken_is_named_before_the_bridge_is_there(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    units = {8081: "other-hub", 8001: "other-proxy"}
    for port, unit in units.items():
        host.run(f"systemd-run --quiet --unit={unit} python3 -m http.server {port}")
        host.run(f"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done")
    pids = {unit: host.run(f"systemctl show -P MainPID {unit}").strip() for unit in units.values()}
    try:
        hub, proxy = (
            f"which python3 (pid {pids[unit]}) of {unit}.service has taken" for unit in units.values()
        )
        named = (
            f"jupyterhub needs TCP port 8081 of 172.30.0.1, {hub}",
            f"jupyterhub-proxy needs TCP port 8001 of 127.0.0.1, {proxy}",
            "choose another port in [network]",
        )
        refused(operator, host, there, *named)
        with operator.changed(**QUICK, network={"hub_port": 18081, "proxy_api_port": 18001}):
            operator.hubwright("plan", *there, code=3)
        host.run(
            "systemctl stop other-hub; "
            "systemd-run --quiet --unit=loop python3 -m http.server -b 127.0.0.1 8081"
        )
        host.run("systemctl stop other-proxy; until ss -Hltn sport = :8081 | grep -q .; do sleep 0.1; done")
        with operator.changed(**QUICK):  # another address is another port
            operator.hubwright("plan", *there, code=3)
    finally:
        host.run("systemctl stop other-hub other-proxy loop 2>/dev/null || true")


@pytest.mark.full
def test_a_hub_moves_to_other_ports_and_serves_there(operator: Operator, deployed: Template) -> None:
    ports = {"hub_port": 18081, "proxy_api_port": 18001}
    with deployed.host(f"{operator.hub['vm']['name']}-ports") as host:
        there = ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
        with operator.changed(**QUICK, network=ports):
            operator.hubwright("apply", *there)
            assert operator.hubwright("apply", *there).unchanged
            for port in (8081, 8001):  # now they are free for others
                host.run(f"systemd-run --quiet --unit=other-{port} python3 -m http.server {port}")
            assert asyncio.run(visit(host.url, "print(6 * 7)"))["printed"].strip() == "42"
            assert operator.hubwright("status", *there).out.splitlines()[0].endswith(": well")
            server = host.run("docker ps --quiet --filter name=^hubwright-server-").split()[0]
            words = "import os; print(os.environ['JUPYTERHUB_API_URL'])"
            url = host.run(f'docker exec {server} python3 -c "{words}"').strip()
            assert url == "http://172.30.0.1:18081/hub/api"
        with operator.changed(**QUICK):
            operator.hubwright("apply", *there, code=1).says("of other-8081.service", "proxy_api_port")
        assert asyncio.run(visit(host.url, "print(6 * 7)"))["printed"].strip() == "42"
