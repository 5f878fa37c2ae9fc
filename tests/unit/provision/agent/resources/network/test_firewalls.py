"""A plan names the firewalls that notebooks are let through."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import KeptOpen
from provision.agent.resources.network import firewalls
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine, converge


def chain(table: str, policy: str = "accept", hook: str = "input", family: str = "inet") -> dict[str, Any]:
    return {"chain": {"family": family, "table": table, "name": "c", "hook": hook, "policy": policy}}


def drops(table: str, family: str = "inet") -> dict[str, Any]:
    return {
        "rule": {"family": family, "table": table, "chain": "c", "expr": [{"counter": {}}, {"reject": None}]}
    }


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        ([], []),
        ([chain("office")], []),
        ([chain("office", "drop")], ["the nftables table inet office"]),
        ([chain("office", "drop", "forward")], ["the nftables table inet office"]),
        ([chain("office", "drop", "output")], []),
        ([chain("office"), drops("office")], ["the nftables table inet office"]),
        ([chain("office"), drops("other")], []),
        ([chain("office", hook="forward"), drops("office")], []),
        ([chain("docker-bridges", "drop", "forward", "ip")], []),
        ([chain("firewalld"), drops("firewalld")], ["firewalld"]),
        ([chain("filter", "drop", family="ip")], []),
        ([chain("filter", "drop", family="ip6")], []),
    ],
)
def test_tables_that_drop(entries: list[dict[str, Any]], names: list[str]) -> None:
    assert firewalls.parse_tables(json.dumps({"nftables": [{"metainfo": {}}, *entries]})) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-A INPUT -s 192.0.2.1/32 -j DROP", []),
        ("-P INPUT DROP\n-P FORWARD DROP", ["iptables' INPUT"]),
        ("-A FORWARD -j REJECT --reject-with icmp-host-prohibited", ["iptables' FORWARD"]),
        ("-N DOCKER-USER\n-A DOCKER-USER -j DROP", ["iptables' DOCKER-USER"]),
    ],
)
def test_chains_of_iptables_that_drop(text: str, names: list[str]) -> None:
    assert firewalls.parse_policies(text) == names


def test_each_firewall_is_named_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptOpen("hubwright-fence", "hubwright0")
    machine = FakeMachine(host)
    assert kept.check(machine) is None
    Path(firewalls.UFW).parent.mkdir()
    Path(firewalls.UFW).write_text("ENABLED=yes\nLOGLEVEL=low\n")
    monkeypatch.setattr(shutil, "which", lambda name: name)
    host.script("nft", answer=host.fails("unknown option --json"))
    host.script("iptables", "--list-rules", answer="-P INPUT DROP")
    said = "let hubwright0, and nothing else, through ufw and iptables' INPUT: hubwright-fence does"
    assert converge(machine, kept) == [said]
    host.script("nft", answer=json.dumps({"nftables": [chain("firewalld"), drops("firewalld")]}))
    assert converge(machine, kept) == [said.replace("ufw and iptables' INPUT", "firewalld")]
    Path(firewalls.UFW).write_text("ENABLED=no\n")
    assert converge(machine, kept) == []
