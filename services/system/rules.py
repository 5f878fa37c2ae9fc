"""Rules of iptables, read and changed: one transaction for each table. Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# How iptables-save prints the comment that tells our rules from others' in chains that are not ours.
MARK = "-m comment --comment hubwright"
LOCK_TIMEOUT = 30  # seconds for another program that changes rules
ROUTES, DEVICES = Path("/proc/net/route"), Path("/sys/class/net")
ENDS = {"DROP": True, "REJECT": True, "ACCEPT": False, "RETURN": False, "QUEUE": False}
PLACES = "/usr/local/sbin:/usr/sbin:/sbin"


def saved(table: str) -> str:
    """A table as iptables-save prints it."""
    return run("iptables-save", "--table", table)


def restore(text: str) -> None:
    run("iptables-restore", "--noflush", f"--wait={LOCK_TIMEOUT}", text=text)


def transaction(table: str, *lines: str) -> str:
    """Input for iptables-restore --noflush."""
    return "\n".join([f"*{table}", *lines, "COMMIT", ""])


def deletions(rules: list[str]) -> list[str]:
    return [f"-D {rule.removeprefix('-A ')}" for rule in rules]


def of_chain(text: str, chain: str) -> list[str]:
    """The rules of a chain, in their order, from what iptables-save prints."""
    return [line for line in text.splitlines() if line.startswith(f"-A {chain} ")]


def marked(text: str, chain: str) -> list[str]:
    """Our rules of a chain that is not ours."""
    return [line for line in of_chain(text, chain) if f" {MARK} " in line]


def closing(text: str, chain: str, seen: tuple[str, ...] = ()) -> tuple[str, int] | None:
    """Chain and place (from 0) of the rule that no packet passes: of this chain, or of one it leads to."""
    for place, rule in enumerate(of_chain(text, chain)):
        words = rule.split()[2:]
        if words[0] not in ("-j", "-g"):  # it has a condition
            continue
        target = words[1]
        if target in ENDS:
            return (chain, place) if ENDS[target] else None
        if target not in seen and (found := closing(text, target, (*seen, chain))):
            return found
    return None


def uplinks(bridge: str) -> list[str]:
    """The devices that lead out of this host: not its other bridges, unless a default route does."""
    rows = [line.split() for line in ROUTES.read_text(encoding="ascii").splitlines()[1:]]
    default = {row[0] for row in rows if row[1] == row[7] == "00000000"}
    others = {row[0] for row in rows if not (DEVICES / row[0] / "bridge").exists()}
    return sorted((default | others) - {bridge, "lo"})


def link_sizes() -> list[int]:
    """The bytes that a packet may have on each device that leads out of this host."""
    return [int((DEVICES / device / "mtu").read_text(encoding="ascii")) for device in uplinks("")]


def has(program: str) -> bool:
    return shutil.which(program, path=environment()["PATH"]) is not None


def nft_ruleset() -> str:
    """All of nftables as JSON; nothing where there is no nft, or one that does not know JSON."""
    if not has("nft"):
        return ""
    argv = ["nft", "--json", "list", "ruleset"]
    done = subprocess.run(argv, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{PLACES}:{os.environ.get('PATH', os.defpath)}"}


def run(*argv: str, text: str = "") -> str:
    """Standard output of a program. Ends this one when that fails."""
    done = subprocess.run(argv, input=text, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: exit code {done.returncode}\n{text}")
    return done.stdout
