"""Firewalls as administrators have them, and as they load, flush and tighten them while a hub runs.

Visitors get in, notebooks get out, and nothing else is opened for it. The tests tell one story on one host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.hosts.containers import Host
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import PROJECT, Operator

GATEWAY = "172.30.0.1"
API = f"{GATEWAY}:8081"
WORLD, REFUSED, BESIDE = "10.88.0.2:80", "10.88.0.3:80", "10.55.0.2:80"
CHECK = "python3 /opt/hubwright/system/fence.py check"
REPAIR = "systemctl start hubwright-fence-repair.service"
REACH = (PROJECT / "tests" / "verify" / "probes" / "reach.py").read_text(encoding="utf-8")
# The world, and another bridge of this host with a container on it, both with a listener.
AROUND = """
ip netns add world
ip link add out0 type veth peer name in0 netns world
ip address add 10.88.0.1/24 dev out0
ip link set out0 up
ip -n world address add 10.88.0.2/24 dev in0
ip -n world address add 10.88.0.3/24 dev in0
ip -n world link set in0 up
ip -n world route add default via 10.88.0.1
docker network create --subnet 10.55.0.0/24 beside >/dev/null
systemd-run --quiet --unit=world ip netns exec world python3 -m http.server 80
image=$(docker image ls --format '{{.Repository}}:{{.Tag}}' hubwright/notebook)
docker run --detach --name=notebook --network=hubwright --cap-drop=ALL --entrypoint=sleep $image infinity
docker run --detach --name=other --network=beside --ip=10.55.0.2 --user=0 --entrypoint=python3 $image \
  -m http.server 80
"""
# Everything is dropped but what is named, forwarded packets too; one address outside is refused by name.
TIGHT = """
table inet office {
  chain in {
    type filter hook input priority 10; policy drop;
    ct state established,related accept
    iifname "lo" accept
    tcp dport { 22, 443 } accept
  }
  chain through {
    type filter hook forward priority 10; policy drop;
    ip daddr 10.88.0.3 drop
  }
}
"""


@pytest.fixture(scope="module")
def host(operator: Operator, deployed: Template) -> Iterator[Host]:
    with deployed.host(f"{operator.hub['vm']['name']}-rules") as host:
        packages = "nftables firewalld"
        host.run(
            f"apt-get update -qq; apt-get install -qq --no-install-recommends {packages} >/dev/null 2>&1"
        )
        host.run("systemctl disable --now firewalld; systemctl restart docker hubwright-fence")
        host.run(AROUND)
        with operator.changed(**QUICK):
            login = ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
            operator.hubwright("apply", *login)  # a copy of a host is given a certificate of its own
        yield host


def reached(host: Host) -> set[str]:
    """The addresses that a notebook reaches, of those that are there."""
    words = ("docker exec -i notebook python3 - ", WORLD, REFUSED, BESIDE, API)
    return set(
        host.run(f"{' '.join(words)} <<'END'\n{REACH}\nEND").strip("[]\n ").replace('"', "").split(", ")
    )


@contextmanager
def spoilt(host: Host, command: str, undo: str = "true") -> Iterator[None]:
    """A host whose rules were changed; the timer does not come to the test's aid."""
    host.run(f"systemctl stop hubwright-fence-repair.timer; {command}")
    try:
        yield
    finally:
        # Docker starts these again by jobs of their own, which must not fall into the next test.
        units = "hubwright-segments hubwright-fence hubwright-fence-repair.timer"
        host.run(f"{undo}; systemctl start {units}; {REPAIR}")


def repaired(host: Host) -> set[str]:
    assert not host.succeeds(CHECK), "the fault goes unnoticed"
    host.run(REPAIR)
    host.run(CHECK)
    return reached(host)


def test_a_notebook_reaches_the_world_and_no_other_bridge(host: Host) -> None:
    assert reached(host) == {WORLD, REFUSED, API}


def test_docker_s_users_chain_that_drops(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    """Before all is flushed: Docker 20.10 leads to that chain no more when it starts beside containers."""
    drop = "iptables -I DOCKER-USER -j DROP; iptables -I DOCKER-USER -d 10.88.0.3 -j DROP"
    undo = "iptables -D DOCKER-USER -j DROP; iptables -D DOCKER-USER -d 10.88.0.3 -j DROP"
    with spoilt(host, drop, undo):
        assert not {WORLD, REFUSED} & reached(host)
        with operator.changed(**QUICK):
            assert "notebooks reach nothing outside" in operator.hubwright("status", *there, code=1).out
        assert repaired(host) == {WORLD, API}


@pytest.mark.parametrize(
    "flush",
    [
        pytest.param("iptables -F FORWARD; iptables -P FORWARD DROP", marks=pytest.mark.full),
        "iptables -F FORWARD; iptables -P FORWARD DROP; iptables -A FORWARD -j REJECT",
        "iptables -F; iptables -X || true; iptables -P FORWARD DROP",
    ],
)
def test_rules_that_were_flushed_by_hand(host: Host, flush: str) -> None:
    with spoilt(host, flush, "systemctl reset-failed docker; systemctl restart docker"):
        assert not {WORLD, REFUSED} & reached(host)
        assert repaired(host) == {WORLD, REFUSED, API}


def test_a_table_of_nftables_that_drops_all_and_is_loaded_again(host: Host) -> None:
    load = f"nft -f - <<'END'\n{TIGHT}END\n"
    with spoilt(host, load, "nft delete table inet office"):
        assert reached(host) == {""}
        assert repaired(host) == {WORLD, API}
        host.run(f"nft delete table inet office; {load}")
        assert repaired(host) == {WORLD, API}


def firewalld(host: Host, test: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not test():
        assert time.monotonic() < end, host.run("journalctl -u firewalld -n 30")
        time.sleep(0.5)


def test_firewalld_that_comes_later_and_is_loaded_again(host: Host) -> None:
    visitors = "firewall-cmd -q --permanent --add-port=443/tcp; firewall-cmd -q --reload"
    start = f"systemctl start firewalld; {visitors}"
    with spoilt(
        host, start, "systemctl stop firewalld; systemctl reset-failed docker; systemctl restart docker"
    ):
        firewalld(host, lambda: host.succeeds("nft list table inet firewalld"))
        if "hubwright0" not in host.run("nft list table inet firewalld"):
            assert API not in reached(host)
            assert repaired(host) >= {WORLD, API}
        host.run("firewall-cmd -q --complete-reload")
        if not host.succeeds(CHECK):
            host.run(REPAIR)
        host.run(CHECK)
        assert reached(host) == {WORLD, REFUSED, API}
        assert host.run("firewall-cmd --zone=public --list-interfaces").strip() == ""
        host.wait_for_hub()
