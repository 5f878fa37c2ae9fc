"""Let TCP connections of containers fit the links that they leave this host by.

    segments.py up --bridge NAME [--bridge NAME]…
    segments.py stop       remove them

A container's interface takes 1500 bytes, whatever the link behind it takes: 1400 in many clouds and VPNs.
Both sides of its connections then agree on segments that a link on the way drops, and where no ICMP comes
back a download stands still for ever. The rules lower the size in the first packets of each connection to
what the routes to both sides take at that moment, so nothing has to be changed when a link changes, not even
a network with containers on it: iptables-extensions(8), TCPMSS. fence.py looks after the rules.
Standard library only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import rules

RECORD = Path("/run/hubwright-segments/rules")
CHAIN = "FORWARD"
ETHERNET = 1500  # bytes
FIT = f"-p tcp -m tcp --tcp-flags SYN,RST SYN {rules.MARK} -j TCPMSS --clamp-mss-to-pmtu"


def to_put_up(bridges: list[str], saved: str) -> str:
    """Input for iptables-restore --noflush: our rules in place of earlier ones.

    They come first: another program's rule may lower sizes further, and may accept.
    """
    ways = [f"{way} {bridge}" for bridge in bridges for way in ("-i", "-o")]
    return rules.transaction(
        "mangle",
        *rules.deletions(rules.marked(saved, CHAIN)),
        *(f"-I {CHAIN} 1 {way} {FIT}" for way in ways),
    )


def put_up(bridges: list[str]) -> None:
    """Ends the program where the kernel has no such rules, and a link needs them."""
    try:
        rules.restore(to_put_up(bridges, rules.saved("mangle")))
    except SystemExit as failure:
        if min(rules.link_sizes(), default=ETHERNET) < ETHERNET:
            raise
        sys.stderr.write(f"{failure}\nevery link of this host takes {ETHERNET} bytes: going on without\n")
    RECORD.write_text("\n".join(rules.marked(rules.saved("mangle"), CHAIN)), encoding="utf-8")


def check() -> str:
    """The fault of the rules, or nothing."""
    if rules.marked(rules.saved("mangle"), CHAIN) == (recorded() or []):
        return ""
    return "downloads of containers may stand still: the rules that fit them to this host's links are missing"


def recorded() -> list[str] | None:
    """The rules that `up` left, or None while they are not wanted."""
    return RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else None


def put_back() -> None:
    """Restore what `up` left."""
    if wanted := recorded():
        there = rules.deletions(rules.marked(rules.saved("mangle"), CHAIN))
        again = [rule.replace(f"-A {CHAIN}", f"-I {CHAIN} 1", 1) for rule in reversed(wanted)]
        rules.restore(rules.transaction("mangle", *there, *again))


def stop() -> None:
    if there := rules.marked(rules.saved("mangle"), CHAIN):
        rules.restore(rules.transaction("mangle", *rules.deletions(there)))


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("stop")
    verbs.add_parser("up").add_argument("--bridge", action="append", required=True)
    a = parser.parse_args()
    if a.verb == "up":
        put_up(a.bridge)
    else:
        stop()


if __name__ == "__main__":
    main()
