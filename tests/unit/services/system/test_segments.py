"""Rules that fit containers' connections to the links of the host."""

from __future__ import annotations

from pathlib import Path

import pytest
import rules
import segments

SAVED = """\
*mangle
:PREROUTING ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A FORWARD -o ppp0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1300
COMMIT
"""


@pytest.fixture
def mangle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The table's rules, which the program's commands read and change."""
    table = [line for line in SAVED.splitlines() if line.startswith("-A ")]

    def run(*argv: str, text: str = "") -> str:
        if argv[0] == "iptables-save":
            return "\n".join(["*mangle", *table, "COMMIT", ""])
        for line in text.splitlines():
            if line.startswith("-D "):
                table.remove(f"-A {line[3:]}")
            elif line.startswith("-I FORWARD 1 "):
                table.insert(0, f"-A FORWARD {line.removeprefix('-I FORWARD 1 ')}")
        return ""

    monkeypatch.setattr(rules, "run", run)
    monkeypatch.setattr(segments, "RECORD", tmp_path / "rules")
    return table


def test_both_ways_of_each_bridge_fit_and_other_programs_rules_stay(mangle: list[str]) -> None:
    theirs = list(mangle)
    segments.put_up(["hubwright0", "docker0"])
    ours = [rule for rule in mangle if rule not in theirs]
    assert {tuple(rule.split()[2:4]) for rule in ours} == {
        ("-i", "hubwright0"),
        ("-o", "hubwright0"),
        ("-i", "docker0"),
        ("-o", "docker0"),
    }
    assert all(rule.endswith("--comment hubwright -j TCPMSS --clamp-mss-to-pmtu") for rule in ours)
    assert mangle[-1:] == theirs
    segments.put_up(["hubwright0", "docker0"])
    assert len(mangle) == 5
    assert segments.check() == ""
    segments.stop()
    assert mangle == theirs


def test_flushed_rules_are_missed(mangle: list[str]) -> None:
    assert segments.check() == ""  # not wanted yet
    segments.put_up(["hubwright0", "docker0"])
    before = list(mangle)
    del mangle[1]
    assert "downloads of containers may stand still" in segments.check()
    segments.put_back()
    assert mangle == before
    assert segments.check() == ""
    mangle.clear()
    assert "rules that fit them to this host's links are missing" in segments.check()
    segments.stop()
    segments.put_back()
    assert segments.check() == ""


@pytest.mark.parametrize(("sizes", "fails"), [([1500, 9001], False), ([], False), ([1500, 1400], True)])
def test_a_kernel_without_such_rules_is_good_enough_where_no_link_is_small(
    mangle: list[str], monkeypatch: pytest.MonkeyPatch, sizes: list[int], fails: bool
) -> None:
    def refuse(_: str) -> None:
        raise SystemExit("iptables-restore: exit code 2")

    monkeypatch.setattr(rules, "restore", refuse)
    monkeypatch.setattr(rules, "link_sizes", lambda: sizes)
    before = list(mangle)
    if fails:
        with pytest.raises(SystemExit):
            segments.put_up(["hubwright0"])
    else:
        segments.put_up(["hubwright0"])
        assert segments.check() == ""
        segments.put_back()
        segments.stop()
    assert mangle == before


def test_sizes_of_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eth0").mkdir()
    (tmp_path / "eth0" / "mtu").write_text("1400\n")
    monkeypatch.setattr(rules, "DEVICES", tmp_path)
    monkeypatch.setattr(rules, "uplinks", lambda _: ["eth0"])
    assert rules.link_sizes() == [1400]
