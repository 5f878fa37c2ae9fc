"""The notebooks' bridge in a zone of firewalld's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import firewalld
import pytest
import rules

TABLE = {"table": {"family": "inet", "name": "firewalld", "flags": "owner"}}


def leads(*devices: str, table: str = "firewalld") -> list[dict[str, Any]]:
    """Rules as firewalld makes them for devices of zones; a `*` stands at the end of some names."""
    return [
        {
            "rule": {
                "family": "inet",
                "table": table,
                "chain": "filter_INPUT_ZONES",
                "expr": [
                    {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": device}},
                    {"goto": {"target": "filter_IN_docker"}},
                ],
            }
        }
        for device in devices
    ]


@pytest.mark.parametrize(
    ("entries", "there"),
    [
        ([], None),
        (leads("hubwright0", table="other"), None),
        ([TABLE], False),
        ([TABLE, *leads("docker0", "hubwright01")], False),
        ([TABLE, *leads("docker0", "hubwright0")], True),
        ([TABLE, *leads("hubwright0", table="other")], False),
    ],
)
def test_devices_that_are_in_a_zone(entries: list[dict[str, Any]], there: bool | None) -> None:
    assert firewalld.names_device(json.dumps({"nftables": entries}), "hubwright0") is there


def _told(told: list[tuple[str, ...]], words: tuple[str, ...], answer: str) -> str:
    told.append(words)
    return answer


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What firewall-cmd was told, on a host whose firewalld has the notebooks' bridge in no zone."""
    told: list[tuple[str, ...]] = []
    ruleset = json.dumps({"nftables": [TABLE]})
    monkeypatch.setattr(rules, "has", lambda _: True)
    monkeypatch.setattr(rules, "nft_ruleset", lambda: ruleset)
    monkeypatch.setattr(firewalld, "RECORD", tmp_path / "zone")
    monkeypatch.setattr(firewalld, "_ask", lambda *words: _told(told, words, "block public trusted"))
    return told


def test_a_bridge_without_a_zone_is_put_into_an_open_one_and_taken_out(asked: list[tuple[str, ...]]) -> None:
    assert firewalld.is_closed("hubwright0")
    firewalld.open_for("hubwright0")
    assert asked == [("--get-zones",), ("--zone=trusted", "--add-interface=hubwright0")]
    asked.clear()
    firewalld.close_for("hubwright0")
    firewalld.close_for("hubwright0")
    assert asked == [("--zone=trusted", "--remove-interface=hubwright0")]


def test_docker_s_own_zone_is_taken_where_there_is_one(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewalld, "_ask", lambda *words: _told(asked, words, "docker trusted"))
    firewalld.open_for("hubwright0")
    assert asked[-1] == ("--zone=docker", "--add-interface=hubwright0")


def test_a_zone_that_docker_or_the_administrator_chose_stays(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ruleset = json.dumps({"nftables": [TABLE, *leads("hubwright0")]})
    monkeypatch.setattr(rules, "nft_ruleset", lambda: ruleset)
    firewalld.open_for("hubwright0")
    firewalld.close_for("hubwright0")
    assert asked == []


def test_a_firewalld_that_does_not_answer_stops_nothing(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewalld, "_ask", lambda *words: _told(asked, words, ""))
    firewalld.open_for("hubwright0")
    firewalld.close_for("hubwright0")
    assert asked == [("--get-zones",)]
    assert firewalld.is_closed("hubwright0")
