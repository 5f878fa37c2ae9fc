"""Hosts with a firewall that drops unknown traffic, and operators who tidy up: visitors still get in.

The tests tell one story on one host and stand in its order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.hosts.containers import Host
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import Operator
from tests.support.visitor import visit

REPAIR_TIMEOUT = 90  # seconds for repairs that the host makes by itself, on a slow computer
# An administrator's usual rules: SSH and the web, answers, nothing else.
NFTABLES = """
table inet firewall {
  chain in {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname "lo" accept
    tcp dport { 22, 80, 443 } accept
  }
}
"""


@pytest.fixture(scope="module")
def host(operator: Operator, deployed: Template) -> Iterator[Host]:
    with deployed.host(f"{operator.hub['vm']['name']}-firewalls") as host:
        host.run(
            "apt-get update -qq && apt-get install -qq --no-install-recommends nftables ufw >/dev/null 2>&1"
        )
        host.run(f"cat >/etc/nftables.conf <<'END'\n{NFTABLES}END")
        yield host


@pytest.fixture(scope="module")
def _deployed(operator: Operator, host: Host, there: tuple[str, ...]) -> Iterator[None]:
    with operator.changed(**QUICK):
        host.run("systemctl stop hubwright-fence-repair.timer")  # an apply should be enough
        host.run("nft -f /etc/nftables.conf")
        operator.hubwright("apply", *there)
        host.wait_for_hub()
        yield


def enters(host: Host) -> None:
    assert asyncio.run(visit(host.url, "print(6 * 7)"))["printed"].strip() == "42"


def comes_true(host: Host, test: Callable[[], bool]) -> float:
    """The seconds until it is true."""
    began = time.monotonic()
    while not test():
        assert time.monotonic() - began < REPAIR_TIMEOUT, host.run(
            "systemctl list-units --failed; docker ps -a"
        )
        time.sleep(0.5)
    return time.monotonic() - began


@pytest.mark.usefixtures("_deployed")
def test_a_chain_of_nftables_that_drops_is_given_a_door(host: Host) -> None:
    assert "policy drop" in host.run("nft list chain inet firewall in")
    enters(host)


@pytest.mark.usefixtures("_deployed")
def test_a_firewall_that_is_loaded_again_is_given_its_door_again(host: Host) -> None:
    host.run(f"nft delete table inet firewall; nft -f - <<'END'\n{NFTABLES}END")
    assert "8081" not in host.run("nft list chain inet firewall in")
    comes_true(host, lambda: "8081" in host.run("nft list chain inet firewall in"))
    enters(host)


@pytest.mark.usefixtures("_deployed")
def test_status_says_when_the_firewall_cannot_be_opened(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    host.run(
        "systemctl stop hubwright-fence-repair.timer; nft insert rule inet firewall in "
        "iifname hubwright0 tcp dport 8081 drop"
    )
    try:
        assert "containers do not reach the hub" in operator.hubwright("status", *there, code=1).out
        assert "containers do not reach the hub's API" in operator.hubwright("apply", *there, code=1).err
    finally:
        host.run("nft flush chain inet firewall in; nft delete table inet firewall")
        host.run("systemctl start hubwright-fence-repair.timer")
    operator.hubwright("apply", *there)
    assert operator.hubwright("status", *there).out.splitlines()[0].endswith(": well")


@pytest.mark.usefixtures("_deployed")
def test_ufw_lets_visitors_in(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    host.run("ufw allow 22/tcp >/dev/null; ufw allow 443/tcp >/dev/null; ufw --force enable >/dev/null")
    comes_true(host, lambda: host.succeeds("python3 /opt/hubwright/system/fence.py check"))
    enters(host)
    assert "ufw" in operator.hubwright("apply", *there).err  # named once
    done = operator.hubwright("apply", *there)
    assert done.unchanged, done
    host.run("ufw reload >/dev/null")
    comes_true(host, lambda: host.succeeds("python3 /opt/hubwright/system/fence.py check"))
    enters(host)
    host.run("ufw --force disable >/dev/null")


@pytest.mark.usefixtures("_deployed")
def test_a_flushed_table_nat_keeps_notebooks_from_the_world_for_seconds_only(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    check = "python3 /opt/hubwright/system/fence.py check"
    host.run("systemctl stop hubwright-fence-repair.timer")
    host.run("iptables -t nat -F")
    assert "notebooks reach nothing outside" in host.run(f"{check} 2>&1 || true")
    assert "notebooks reach nothing outside" in operator.hubwright("status", *there, code=1).out
    host.run("systemctl start hubwright-fence-repair.timer")
    comes_true(host, lambda: host.succeeds(check))
    assert "hubwright0" in host.run("iptables -t nat -S POSTROUTING")
    enters(host)


@pytest.mark.usefixtures("_deployed")
@pytest.mark.parametrize("words", ["", "--all --volumes"])
def test_a_prune_while_no_visitor_is_there_does_no_harm(host: Host, words: str) -> None:
    host.run("docker ps --quiet --filter name=^hubwright-server- | xargs --no-run-if-empty docker rm --force")
    host.run(f"docker system prune --force {words}")
    enters(host)


@pytest.mark.usefixtures("_deployed")
def test_a_network_that_was_removed_by_force_comes_back(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    host.run("docker rm --force $(docker ps --all --quiet); docker network rm hubwright")
    seconds = comes_true(host, lambda: host.succeeds("docker network inspect hubwright"))
    assert seconds < 30
    comes_true(host, lambda: host.succeeds("docker inspect hubwright-keeper"))
    enters(host)
    done = operator.hubwright("apply", *there)
    assert done.unchanged, done
