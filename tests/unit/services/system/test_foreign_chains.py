"""Doors in other programs' chains of nftables, from rulesets as `nft --json list ruleset` prints them."""

from __future__ import annotations

import json
from typing import Any

import foreign_chains
import pytest

DROP: list[dict[str, Any]] = [{"match": {"op": "==", "right": "lo"}}, {"drop": None}]
ALL: list[dict[str, Any]] = [{"counter": {"packets": 0}}, {"drop": None}]
ACCEPT: list[dict[str, Any]] = [{"accept": None}]


def table(family: str = "inet", name: str = "firewall", **more: Any) -> dict[str, Any]:
    return {"table": {"family": family, "name": name, "handle": 1, **more}}


def chain(policy: str = "accept", hook: str = "input", family: str = "inet", **more: Any) -> dict[str, Any]:
    base = {"family": family, "table": "firewall", "name": "in", "handle": 2, "type": "filter", "prio": 0}
    return {"chain": {**base, "hook": hook, "policy": policy, **more}}


def rule(expression: list[dict[str, Any]], chain: str = "in", **more: Any) -> dict[str, Any]:
    base = {"family": "inet", "table": "firewall", "chain": chain, "handle": 9}
    return {"rule": {**base, "expr": expression, **more}}


def found(*entries: dict[str, Any]) -> list[foreign_chains.Chain]:
    text = json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *entries]})
    return foreign_chains.chains(text)


def opened(*entries: dict[str, Any]) -> str:
    return foreign_chains.to_open(found(*entries), "hubwright0", "172.30.0.1", 8081, ["eth0", "tun0"])


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([chain("drop")], id="policy"),
        pytest.param([chain(), rule(DROP)], id="a rule drops"),
        pytest.param([chain(), rule([{"reject": {"type": "tcp reset"}}])], id="a rule rejects"),
        pytest.param([chain(), rule(DROP, chain="elsewhere")], id="a chain that it may jump to drops"),
    ],
)
def test_a_chain_that_closes_gets_a_door(entries: list[dict[str, Any]]) -> None:
    door = 'iifname "hubwright0" ip daddr 172.30.0.1 tcp dport 8081 accept comment "hubwright-fence in"'
    assert opened(table(), *entries) == f"insert rule inet firewall in {door}\n"


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([chain(), rule(ACCEPT)], id="nothing closes"),
        pytest.param([chain("drop", hook="output")], id="another hook"),
        pytest.param([chain(hook="forward"), rule(DROP)], id="a part of what is forwarded"),
        pytest.param([chain(hook="forward"), rule(ACCEPT), rule(ALL)], id="all is accepted before"),
        pytest.param([chain("drop", family="bridge")], id="another family"),
        pytest.param([chain("drop"), rule(ACCEPT, comment="hubwright-fence in")], id="the door is there"),
        pytest.param([chain("drop", type="nat")], id="no filter"),
    ],
)
def test_other_chains_are_left_alone(entries: list[dict[str, Any]]) -> None:
    assert opened(table(), *entries) == ""


def test_a_table_that_its_owner_has_locked_is_left_alone() -> None:
    assert opened(table(flags="owner"), chain("drop")) == ""
    assert opened(table(flags=["owner", "persist"]), chain("drop")) == ""


def test_the_table_of_iptables_is_not_touched() -> None:
    theirs = {"chain": {**chain("drop")["chain"], "family": "ip", "table": "filter", "name": "INPUT"}}
    assert found(theirs) == []


def test_doors_are_taken_away_by_their_handles() -> None:
    ours = [rule(ACCEPT, comment="hubwright-fence in", handle=number) for number in (4, 5)]
    theirs = rule(ACCEPT, comment="ssh", handle=6)
    expected = "".join(f"delete rule inet firewall in handle {number}\n" for number in (4, 5))
    assert foreign_chains.to_close(found(table(), chain("drop"), *ours, theirs)) == expected


def test_a_host_without_rules() -> None:
    assert foreign_chains.chains("") == []


ANSWERS = (
    'oifname "hubwright0" ct state established,related ct direction reply accept comment "hubwright-fence in"'
)
BEYOND = 'iifname "hubwright0" oifname { "eth0", "tun0" } accept comment "hubwright-fence in"'


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        pytest.param([chain("drop", hook="forward")], "add rule inet firewall in", id="policy"),
        pytest.param(
            [chain(hook="forward"), rule(DROP, handle=5), rule(ALL, handle=6)],
            "insert rule inet firewall in handle 6",
            id="a last rule, behind what is refused by name",
        ),
        pytest.param(
            [
                chain(hook="forward"),
                rule([{"jump": {"target": "more"}}]),
                rule(DROP, chain="more", handle=7),
                rule([{"reject": None}], chain="more", handle=8),
            ],
            "insert rule inet firewall more handle 8",
            id="a chain that all are led to",
        ),
    ],
)
def test_what_is_forwarded_passes_last_and_answers_first(entries: list[dict[str, Any]], place: str) -> None:
    assert opened(table(), *entries) == f"insert rule inet firewall in {ANSWERS}\n{place} {BEYOND}\n"


def test_doors_in_another_chain_are_found_again() -> None:
    closing = [
        chain("drop", hook="forward"),
        rule(ACCEPT, chain="more", comment="hubwright-fence in", handle=3),
    ]
    assert opened(table(), *closing) == ""
    assert foreign_chains.to_close(found(table(), *closing)) == "delete rule inet firewall more handle 3\n"


def test_firewalld_s_own_table_is_left_to_firewalld() -> None:
    theirs = {"chain": {**chain("drop")["chain"], "table": "firewalld"}}
    assert found(theirs) == []
