"""Other programs' nftables chains that close this host: a rule in each, the door, for the notebooks' network.

A packet has to pass every base chain of a hook, so an accept in our own rules is not enough where another
table drops what it does not know (nft(8), «Verdict statements»). Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

COMMENT = "hubwright-fence"
PLACES = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Chain:
    """A base chain at the input hook. `handles` are those of our rules in it."""

    family: str
    table: str
    name: str
    closes: bool
    locked: bool
    handles: tuple[int, ...]


def chains(ruleset: str) -> list[Chain]:
    """The chains of `nft --json list ruleset`, without those of iptables, which fence.py deals with."""
    found = json.loads(ruleset or '{"nftables": []}')["nftables"]
    rules = [entry["rule"] for entry in found if "rule" in entry]
    locked = {
        (entry["table"]["family"], entry["table"]["name"])
        for entry in found
        if "owner" in _list(entry.get("table", {}).get("flags"))
    }
    return [
        Chain(
            *(place := (chain["family"], chain["table"])),
            chain["name"],
            closes=chain.get("policy") == "drop" or _table_drops(rules, place),
            locked=place in locked,
            handles=tuple(
                rule["handle"]
                for rule in rules
                if (rule["family"], rule["table"], rule["chain"]) == (*place, chain["name"])
                and rule.get("comment") == COMMENT
            ),
        )
        for chain in (entry["chain"] for entry in found if "chain" in entry)
        if chain.get("hook") == "input" and chain.get("type") == "filter"
        if chain["family"] in ("ip", "inet") and (chain["family"], chain["table"]) != ("ip", "filter")
    ]


def _table_drops(rules: list[dict[str, Any]], place: tuple[str, str]) -> bool:
    """True if any rule of the table drops or rejects, as chains jump to one another."""
    return any(
        {"drop", "reject"} & {verdict for expression in rule.get("expr", []) for verdict in expression}
        for rule in rules
        if (rule["family"], rule["table"]) == place
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def without_door(found: list[Chain]) -> list[Chain]:
    """Chains that close and have no door. Some can be changed only by the program that made them."""
    return [chain for chain in found if chain.closes and not chain.handles and not chain.locked]


def to_open(found: list[Chain], bridge: str, address: str, port: int) -> str:
    """Commands for `nft --file -`; empty when every chain that closes has its door."""
    door = f'iifname "{bridge}" ip daddr {address} tcp dport {port} accept comment "{COMMENT}"'
    return "".join(
        f"insert rule {chain.family} {chain.table} {chain.name} {door}\n" for chain in without_door(found)
    )


def to_close(found: list[Chain]) -> str:
    """Commands that remove every door."""
    return "".join(
        f"delete rule {chain.family} {chain.table} {chain.name} handle {handle}\n"
        for chain in found
        for handle in chain.handles
    )


def present() -> list[Chain]:
    """The chains of this host; none where it has no nft, or one that does not know JSON."""
    program = shutil.which("nft", path=f"{PLACES}:{os.environ.get('PATH', os.defpath)}")
    if program is None:
        return []
    done = subprocess.run(
        [program, "--json", "list", "ruleset"], stdout=subprocess.PIPE, text=True, check=False
    )
    return chains(done.stdout) if done.returncode == 0 else []


def change(commands: str) -> None:
    """Run commands of nft in one transaction."""
    if commands:
        around = {**os.environ, "PATH": f"{PLACES}:{os.environ.get('PATH', os.defpath)}"}
        subprocess.run(["nft", "--file", "-"], input=commands, env=around, text=True, check=True)
