"""Other programs' nftables chains that close this host: rules in each, the doors, for the notebooks' network.

A packet has to pass every base chain of a hook, so an accept in our own rules is not enough where another
table drops what it does not know (nft(8), «Verdict statements»). At the hook input the hub's API gets a door,
at forward what notebooks have outside: answers first, and their own way last, behind all that a firewall
refuses by name. Standard library only.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import firewalld
import rules

COMMENT = "hubwright-fence"
HOOKS = ("input", "forward")
VERDICTS = {"drop": True, "reject": True, "accept": False, "return": False, "queue": False}


@dataclass(frozen=True)
class Chain:
    """A base chain at one of HOOKS. `handles` are those of our rules in it.

    `last`: the chain and the handle of the rule that no forwarded packet passes; none where the policy drops.
    """

    family: str
    table: str
    name: str
    closes: bool
    locked: bool
    handles: tuple[tuple[str, int], ...]
    hook: str = "input"
    last: tuple[str, int] | None = None


def chains(ruleset: str) -> list[Chain]:
    """The chains of `nft --json list ruleset` without those of iptables and firewalld: see fence.py."""
    found = json.loads(ruleset or '{"nftables": []}')["nftables"]
    every = [entry["rule"] for entry in found if "rule" in entry]
    locked = {
        (entry["table"]["family"], entry["table"]["name"])
        for entry in found
        if "owner" in _list(entry.get("table", {}).get("flags"))
    }
    return [
        _chain(chain, [rule for rule in every if _place(rule) == _place(chain)], locked)
        for chain in (entry["chain"] for entry in found if "chain" in entry)
        if chain.get("hook") in HOOKS and chain.get("type") == "filter"
        if chain["family"] in ("ip", "inet") and _place(chain) != ("ip", "filter")
        if chain["table"] != firewalld.TABLE
    ]


def _place(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["family"], entry["table"]


def _chain(chain: dict[str, Any], table: list[dict[str, Any]], locked: set[tuple[str, str]]) -> Chain:
    """`table`: the rules of its table."""
    name, hook = chain["name"], chain["hook"]
    last = _last(table, name) if hook == "forward" else None
    drops = chain.get("policy") == "drop"
    return Chain(
        *_place(chain),
        name,
        closes=drops or bool(last) or (hook == "input" and _any_drops(table)),
        locked=_place(chain) in locked,
        handles=tuple(
            (rule["chain"], rule["handle"]) for rule in table if rule.get("comment") == f"{COMMENT} {name}"
        ),
        hook=hook,
        last=last,
    )


def _any_drops(table: list[dict[str, Any]]) -> bool:
    """True if any rule of the table drops or rejects, as chains jump to one another."""
    return any(
        {"drop", "reject"} & {verdict for expression in rule.get("expr", []) for verdict in expression}
        for rule in table
    )


def _last(table: list[dict[str, Any]], name: str, seen: tuple[str, ...] = ()) -> tuple[str, int] | None:
    """The chain and handle of the rule that no packet passes: in this chain, or one that it leads to."""
    for rule in (rule for rule in table if rule["chain"] == name):
        statements = {key: value for expression in rule.get("expr", []) for key, value in expression.items()}
        if {"match", "vmap", "limit"} & statements.keys():
            continue
        for word, closes in VERDICTS.items():
            if word in statements:
                return (name, rule["handle"]) if closes else None
        target = (statements.get("jump") or statements.get("goto") or {}).get("target")
        if target and target not in seen and (found := _last(table, target, (*seen, name))):
            return found
    return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def without_door(found: list[Chain]) -> list[Chain]:
    """Chains that close and have no door. Some can be changed only by the program that made them."""
    return [chain for chain in found if chain.closes and not chain.handles and not chain.locked]


def to_open(found: list[Chain], bridge: str, address: str, port: int, uplinks: Sequence[str]) -> str:
    """Commands for `nft --file -`; empty when every chain that closes has its doors."""
    return "".join(
        f"{line}\n"
        for chain in without_door(found)
        for line in (
            [_input_door(chain, bridge, address, port)]
            if chain.hook == "input"
            else _forward_doors(chain, bridge, uplinks)
        )
    )


def _input_door(chain: Chain, bridge: str, address: str, port: int) -> str:
    door = f'iifname "{bridge}" ip daddr {address} tcp dport {port} accept {_comment(chain)}'
    return f"insert rule {chain.family} {chain.table} {chain.name} {door}"


def _forward_doors(chain: Chain, bridge: str, uplinks: Sequence[str]) -> list[str]:
    place = f"{chain.family} {chain.table}"
    answers = f'oifname "{bridge}" ct state established,related ct direction reply accept {_comment(chain)}'
    found = [f"insert rule {place} {chain.name} {answers}"]
    if uplinks:
        names = ", ".join(f'"{uplink}"' for uplink in uplinks)
        beyond = f'iifname "{bridge}" oifname {{ {names} }} accept {_comment(chain)}'
        where, handle = chain.last or (chain.name, 0)
        verb = f"insert rule {place} {where} handle {handle}" if handle else f"add rule {place} {where}"
        found.append(f"{verb} {beyond}")
    return found


def _comment(chain: Chain) -> str:
    return f'comment "{COMMENT} {chain.name}"'


def to_close(found: list[Chain]) -> str:
    """Commands that remove every door."""
    return "".join(
        f"delete rule {chain.family} {chain.table} {name} handle {handle}\n"
        for chain in found
        for name, handle in chain.handles
    )


def present() -> list[Chain]:
    """The chains of this host."""
    return chains(rules.nft_ruleset())


def change(commands: str) -> None:
    """Run commands of nft in one transaction."""
    if commands:
        argv = ["nft", "--file", "-"]
        subprocess.run(argv, input=commands, env=rules.environment(), text=True, check=True)
