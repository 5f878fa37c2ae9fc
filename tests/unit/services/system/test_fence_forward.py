"""What a notebook has outside passes where a firewall drops what it does not know, and nothing more does."""

from __future__ import annotations

from pathlib import Path

import fence
import pytest
import rules

from tests.unit.services.system.test_fence import FENCE, WITH_DOCKER, Table, copy, put_up, saved

DROPS: Table = {"INPUT": [], "OUTPUT": [], "DOCKER-USER": []}
TABLES: dict[str, tuple[Table, str]] = {
    "the policy may drop": ({**DROPS, "FORWARD": ["-s 10.0.0.0/8 -j DROP"]}, "FORWARD"),
    "a last rule": ({**DROPS, "FORWARD": ["-d 203.0.113.0/24 -j DROP", "-j REJECT"]}, "FORWARD"),
    "docker's users' chain": (
        {**DROPS, "FORWARD": ["-j DOCKER-USER"], "DOCKER-USER": ["-d 203.0.113.0/24 -j DROP", "-j DROP"]},
        "DOCKER-USER",
    ),
    "a chain of a firewall's": (
        {
            **DROPS,
            "FORWARD": ["-j DOCKER-USER", "-j before", "-j after"],
            "before": ["-d 203.0.113.0/24 -j DROP", "-j RETURN", "-j DROP"],
            "after": ["-p udp -j RETURN", "-j REJECT"],
        },
        "after",
    ),
}


def ways(table: Table) -> dict[str, list[str]]:
    """Chain → its rules from our jump beyond on."""
    jump = f"-i hubwright0 -j {fence.BEYOND}"
    return {chain: rules[rules.index(jump) :] for chain, rules in table.items() if jump in rules}


@pytest.mark.parametrize("name", TABLES)
def test_the_way_out_is_open_behind_all_that_is_refused_by_name(name: str) -> None:
    before, chain = TABLES[name]
    table = put_up(before)
    [(place, rest)] = ways(table).items()
    assert place == chain
    assert len(rest) == (1 if name == "the policy may drop" else 2)
    assert table[fence.BEYOND] == ["-o eth0 -j ACCEPT"]
    assert not fence.is_closed(saved(table))
    assert put_up(table) == table


def test_answers_pass_before_others_rules() -> None:
    table = put_up(WITH_DOCKER)
    for chain in ("FORWARD", "DOCKER-USER"):
        assert table[chain][1] == f"-o hubwright0 -j {fence.ANSWERS}"
    [rule] = table[fence.ANSWERS]
    assert "--ctdir REPLY" in rule


@pytest.mark.parametrize("chain", ["FORWARD", "DOCKER-USER"])
def test_a_rule_that_drops_all_and_comes_later_is_missed(chain: str) -> None:
    table = put_up({**copy(WITH_DOCKER), "DOCKER-USER": []})
    assert not fence.is_closed(saved(table))
    table[chain].insert(0, "-j DROP")
    assert fence.is_closed(saved(table))
    again = put_up(table)
    assert not fence.is_closed(saved(again))
    assert len(ways(again)) == 1


def test_other_bridges_of_this_host_are_not_beyond(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Docker keeps its networks apart; where its rules were flushed, ours must not open them."""
    rows = [
        ("eth0", "00000000", "00000000"),
        ("eth0", "000200C0", "00FFFFFF"),
        ("docker0", "000011AC", "0000FFFF"),
    ]
    rows += [
        ("hubwright0", "00001EAC", "00F0FFFF"),
        ("tun0", "0000000A", "000000FF"),
        ("br0", "00000000", "00000000"),
    ]
    lines = [f"{device}\t{target}\t0\t1\t0\t0\t0\t{mask}\t0\t0\t0" for device, target, mask in rows]
    (tmp_path / "route").write_text("\n".join(["Iface", *lines]))
    for bridge in ("docker0", "hubwright0", "br0"):
        (tmp_path / bridge / "bridge").mkdir(parents=True)
    monkeypatch.setattr(rules, "ROUTES", tmp_path / "route")
    monkeypatch.setattr(rules, "DEVICES", tmp_path)
    assert rules.uplinks("hubwright0") == ["br0", "eth0", "tun0"]
    table = put_up(DROPS | {"FORWARD": []}, FENCE)
    assert "docker0" not in str(table)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("-A FORWARD -j REJECT --reject-with icmp-host-prohibited", ("FORWARD", 0)),
        ("-A FORWARD -i eth0 -j DROP", None),
        ("-A FORWARD -j ACCEPT\n-A FORWARD -j DROP", None),
        ("-A FORWARD -j LOG\n-A FORWARD -j DROP", ("FORWARD", 1)),
        ("-A FORWARD -g a\n-A a -j b\n-A b -j a\n-A b -j DROP", ("b", 1)),
        ("-A INPUT -j DROP", None),
    ],
)
def test_the_rule_that_no_packet_passes(text: str, place: tuple[str, int] | None) -> None:
    assert rules.closing(text, "FORWARD") == place
