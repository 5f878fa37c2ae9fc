"""Firewalls of this host: what a plan says of them, before the fence keeps its doors in them open."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from typing import Any

from ..base import Change, CommandFailed, Machine, Resource
from ..fs import read_text

UFW = "/etc/ufw/ufw.conf"
FIREWALLD = "firewalld"


@dataclass(frozen=True)
class KeptOpen(Resource):
    """Firewalls through which `unit` lets packets of `bridge`. It changes nothing but a note of their names:

    a plan and an apply say which ones the unit opens, when it is new and when another firewall has come.
    """

    unit: str
    bridge: str

    @property
    def id(self) -> str:
        return f"firewalls:{self.bridge}"

    def check(self, machine: Machine) -> Change | None:
        names = [name for name in firewalls(machine) if name not in machine.claims(self).get("told", [])]
        if not names:
            return None
        return Change(f"let {self.bridge}, and nothing else, through {' and '.join(names)}: {self.unit} does")

    def apply(self, machine: Machine) -> None:
        machine.claim(self, told=firewalls(machine))

    def remove(self, machine: Machine) -> str | None:  # noqa: ARG002
        return None


def firewalls(machine: Machine) -> list[str]:
    """The names of the firewalls that drop what they do not know."""
    ufw = ["ufw"] if re.search(r"^ENABLED=yes", read_text(UFW), re.MULTILINE) else []
    return [*ufw, *parse_tables(_ask(machine, "nft", "--json", "list", "ruleset")), *_iptables(machine)]


def _iptables(machine: Machine) -> list[str]:
    return parse_policies(_ask(machine, "iptables", "--list-rules"))


def _ask(machine: Machine, program: str, *words: str) -> str:
    """The answer of a program that may be missing, or too old for the question."""
    try:
        return machine.run([program, *words]) if shutil.which(program) else ""
    except CommandFailed:
        return ""


def parse_tables(ruleset: str) -> list[str]:
    """Tables of nftables that drop entering or forwarded packets, but for those of iptables."""
    entries = json.loads(ruleset or '{"nftables": []}')["nftables"]
    hooked = [
        entry["chain"] for entry in entries if entry.get("chain", {}).get("hook") in ("input", "forward")
    ]
    places = {
        (chain["family"], chain["table"]): chain for chain in hooked if chain["family"] in ("ip", "inet")
    }
    found = []
    for place in places:
        if place == ("ip", "filter") or place[1].startswith("docker"):  # iptables' own, and Docker 29's
            continue
        there = [chain for chain in hooked if (chain["family"], chain["table"]) == place]
        entering = any(chain["hook"] == "input" for chain in there)
        if any(chain.get("policy") == "drop" for chain in there) or (entering and _drops(entries, place)):
            found.append(FIREWALLD if place[1] == FIREWALLD else f"the nftables table {' '.join(place)}")
    return found


def _drops(entries: list[dict[str, Any]], place: tuple[str, str]) -> bool:
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    return any(
        {"drop", "reject"} & expression.keys()
        for rule in rules
        if (rule["family"], rule["table"]) == place
        for expression in rule.get("expr", [])
    )


def parse_policies(text: str) -> list[str]:
    """The chains of iptables that drop what no rule of theirs accepts, from `iptables --list-rules`.

    The policy of FORWARD does not count: Docker itself sets it to DROP.
    """
    patterns = {chain: rf"^-A {chain} -j (DROP|REJECT)\b" for chain in ("FORWARD", "DOCKER-USER")}
    patterns = {"INPUT": r"^(-P INPUT DROP|-A INPUT -j (DROP|REJECT)\b)", **patterns}
    return [
        f"iptables' {chain}" for chain, closing in patterns.items() if re.search(closing, text, re.MULTILINE)
    ]
