"""The fence around the notebooks' network: it limits what containers reach of the host, and beyond it.

    fence.py up --bridge NAME --subnet RANGE --gateway ADDRESS --hub-port N [--port N]… [--blocked RANGE]…
    fence.py check      end with 1 when rules are not as `up` left them
    fence.py stop       remove them, unless they are still needed

Two chains of iptables close, and let pass only what a hub needs: its API from its own bridge, and answers to
connections that the host opened there. Other traffic goes on to other programs' rules. Two more keep open
what a notebook has outside, where a firewall drops all that it does not know: answers to its connections,
and, last before such a rule, its way to the devices that lead out of this host. One transaction of
iptables-restore changes all of them, so that no moment is without.
One more rule, in table nat, lets notebooks' packets leave with the host's address. Docker has the same, but
does not miss it when it was flushed. Standard library only.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import firewalld
import foreign_chains
import rules
import segments

INWARD, OUTWARD, ANSWERS, BEYOND = "HUBWRIGHT-IN", "HUBWRIGHT-OUT", "HUBWRIGHT-ANSWERS", "HUBWRIGHT-BEYOND"
OURS = (INWARD, OUTWARD, ANSWERS, BEYOND)
# Docker keeps the rules in this chain: docs.docker.com/engine/network/packet-filtering-firewalls/
DOCKER_USER = "DOCKER-USER"
# RFC 3927; clouds keep their metadata there, an instance's credentials among them.
LINK_LOCAL = "169.254.0.0/16"
DNS = ("-p udp --dport 53", "-p tcp --dport 53")

UNIT, DOCKER = "hubwright-fence.service", "docker.service"
RECORD = Path("/run/hubwright-fence/rules")
REPAIRED = "; hubwright-fence-repair.timer corrects that within 15 s"


@dataclass(frozen=True)
class Fence:
    """`ports`: of the host, open to notebooks. `blocked`: ranges beyond the host that are not.

    `uplinks`: devices that lead out of this host.
    """

    bridge: str
    subnet: str
    gateway: str
    hub_port: int
    ports: tuple[int, ...] = ()
    blocked: tuple[str, ...] = ()
    uplinks: tuple[str, ...] = ()

    def rules(self) -> list[str]:
        hub = f"-d {self.gateway}/32 -p tcp --dport {self.hub_port}"
        inward = [
            "-i lo -j RETURN",
            # A machine beside the host may have a route to the gateway's address.
            f"! -i {self.bridge} {hub} -j DROP",
            f"! -i {self.bridge} -j RETURN",
            # Of connections that the host has opened: the hub's and the proxy's to servers.
            "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j ACCEPT",
            f"{hub} -j ACCEPT",  # a firewall of this host would drop it further on
            *(f"-p tcp --dport {port} -j RETURN" for port in self.ports),
            *(f"{dns} -j RETURN" for dns in DNS),  # a host may be its own resolver
            "-j REJECT",
        ]
        outward = [
            f"-d {self.subnet} -j RETURN",
            *(f"{dns} -j RETURN" for dns in DNS),
            *(f"-d {range_} -j REJECT" for range_ in (LINK_LOCAL, *self.blocked)),
        ]
        chains = {
            INWARD: inward,
            OUTWARD: outward,
            ANSWERS: ["-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j ACCEPT"],
            BEYOND: [f"-o {uplink} -j ACCEPT" for uplink in self.uplinks],
        }
        return [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]

    def masquerade(self) -> str:
        return f"-A POSTROUTING -s {self.subnet} ! -o {self.bridge} {rules.MARK} -j MASQUERADE"


def ours(saved: str) -> list[str]:
    """The rules of our chains and those that lead there, from what iptables-save prints."""
    return [
        line for line in saved.splitlines() if line.startswith("-A ") and set(OURS).intersection(line.split())
    ]


def masquerades(saved: str) -> list[str]:
    """Our rules of table nat, from what iptables-save prints."""
    return rules.marked(saved, "POSTROUTING")


def chains(saved: str) -> set[str]:
    return {line[1:].split()[0] for line in saved.splitlines() if line.startswith(":")}


def to_put_up(fence: Fence, saved: str) -> str:
    """Input for iptables-restore --noflush: the fence's rules in place of those of an earlier fence."""
    # Naming a chain empties it, which must not happen to Docker's.
    named = [*OURS, *({DOCKER_USER} - chains(saved))]
    return rules.transaction(
        "filter",
        *(f":{chain} - [0:0]" for chain in named),
        *_without_jumps(saved),
        *fence.rules(),
        _way_beyond(fence, saved),
        f"-I INPUT 1 -j {INWARD}",
        # Docker leads to its users' chain when it makes networks; 20.10 not when it starts beside containers
        # that run, should all rules have been flushed.
        *(f"-I {chain} 1 -o {fence.bridge} -j {ANSWERS}" for chain in ("FORWARD", DOCKER_USER)),
        *(f"-I {chain} 1 -i {fence.bridge} -j {OUTWARD}" for chain in ("FORWARD", DOCKER_USER)),
    )


def _way_beyond(fence: Fence, saved: str) -> str:
    """A jump before the rule that no packet passes; at the end without one: FORWARD's policy may drop."""
    mine = ours(saved)
    place = rules.closing("\n".join(line for line in saved.splitlines() if line not in mine), "FORWARD")
    jump = f"-i {fence.bridge} -j {BEYOND}"
    return f"-I {place[0]} {place[1] + 1} {jump}" if place else f"-A FORWARD {jump}"


def is_closed(saved: str) -> bool:
    """True if a rule that no packet passes came to stand before our jump."""
    place = rules.closing(saved, "FORWARD")
    return place is not None and not any(
        rule.endswith(f" -j {BEYOND}") for rule in rules.of_chain(saved, place[0])[: place[1]]
    )


def to_take_away(saved: str) -> str:
    """Input for iptables-restore --noflush that removes the rules; empty when there are none."""
    there = sorted(set(OURS) & chains(saved))
    if not there:
        return ""
    return rules.transaction(
        "filter",
        *_without_jumps(saved),
        *(f"-F {chain}" for chain in there),
        *(f"-X {chain}" for chain in there),
    )


def nat_to_put_up(fence: Fence, saved: str) -> str:
    """Input for iptables-restore --noflush: our rule of table nat in place of an earlier one."""
    return rules.transaction("nat", *rules.deletions(masquerades(saved)), fence.masquerade())


def nat_to_take_away(saved: str) -> str:
    """Input for iptables-restore --noflush that removes our rule of table nat; empty when there is none."""
    there = masquerades(saved)
    return rules.transaction("nat", *rules.deletions(there)) if there else ""


def _without_jumps(saved: str) -> list[str]:
    return rules.deletions([rule for rule in ours(saved) if rule.split()[1] not in OURS])


def stays(jobs: str) -> bool:
    """True if the rules are needed though the unit stops, by the lines of `systemctl list-jobs`.

    A unit that restarts is back in a moment. When Docker stops, it stops this unit too, but not notebooks.
    """
    kinds = {row[1]: row[2] for row in map(str.split, jobs.splitlines()) if len(row) > 2}
    return kinds.get(UNIT, "").endswith("restart") or kinds.get(DOCKER, "").endswith(("stop", "restart"))


def put_up(fence: Fence) -> None:
    rules.restore(to_put_up(fence, rules.saved("filter")) + nat_to_put_up(fence, rules.saved("nat")))
    foreign_chains.change(
        foreign_chains.to_open(
            foreign_chains.present(), fence.bridge, fence.gateway, fence.hub_port, fence.uplinks
        )
    )
    firewalld.open_for(fence.bridge)
    segments.put_back()
    standing = [*ours(rules.saved("filter")), *masquerades(rules.saved("nat"))]
    RECORD.write_text("\n".join(standing), encoding="utf-8")


def check() -> str:
    """The fault of the rules, or nothing."""
    if not RECORD.exists():
        return "notebooks are not kept apart: the fence is not up"
    recorded, saved = RECORD.read_text(encoding="utf-8"), rules.saved("filter")
    if ours(saved) != ours(recorded):
        return "the firewall rules that keep notebooks apart are missing or changed"
    if is_closed(saved) or set(rules.uplinks(_bridge(recorded))) - _uplinks(recorded):
        return "notebooks reach nothing outside: a firewall drops what they send"
    if masquerades(rules.saved("nat")) != masquerades(recorded):
        return (
            "notebooks reach nothing outside: the rule that gives their packets the host's address is missing"
        )
    if foreign_chains.without_door(foreign_chains.present()):
        return "a firewall that was loaded keeps notebooks from the hub or from the world"
    if firewalld.is_closed(_bridge(recorded)):
        return "firewalld was started or loaded again, and keeps notebooks from the hub and from the world"
    return segments.check()


def _bridge(recorded: str) -> str:
    [rule] = [rule for rule in rules.of_chain(recorded, "FORWARD") if rule.endswith(f" -j {OUTWARD}")]
    return rule.split()[3]


def _uplinks(recorded: str) -> set[str]:
    return {rule.split()[3] for rule in rules.of_chain(recorded, BEYOND)}


def stop() -> None:
    # Docker starts with a zone of its own, and fails where the bridge is in another.
    firewalld.close_for(_bridge(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else "")
    if stays(rules.run("systemctl", "list-jobs", "--no-legend", "--plain", UNIT, DOCKER)):
        sys.stderr.write("notebooks may be running meanwhile: the rules stay\n")
        return
    foreign_chains.change(foreign_chains.to_close(foreign_chains.present()))
    if text := to_take_away(rules.saved("filter")) + nat_to_take_away(rules.saved("nat")):
        rules.restore(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("check")
    verbs.add_parser("stop")
    up = verbs.add_parser("up")
    for name in ("--bridge", "--subnet", "--gateway"):
        up.add_argument(name, required=True)
    up.add_argument("--hub-port", type=int, required=True)
    up.add_argument("--port", type=int, action="append", default=[])
    up.add_argument("--blocked", action="append", default=[])
    return parser.parse_args()


def main() -> None:
    a = _arguments()
    if a.verb == "up":
        ports, blocked = tuple(a.port), tuple(a.blocked)
        uplinks = tuple(rules.uplinks(a.bridge))
        put_up(Fence(a.bridge, a.subnet, a.gateway, a.hub_port, ports, blocked, uplinks))
    elif a.verb == "stop":
        stop()
    elif wrong := check():
        sys.exit(f"{wrong}{REPAIRED if RECORD.exists() else ''}")


if __name__ == "__main__":
    main()
