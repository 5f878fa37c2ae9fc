"""Ranges of IPv4 addresses that this host already uses: routes, its resolvers, the operator's own connection.

A bridge with a range hides every other way to its addresses. Where the operator's connection comes from
such an address, it ends with the bridge, and no operator can log in to remove that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from ..base import CommandFailed, Machine, Problem
from ..fs import read_text

PROCESSES = "/proc"
MAIN_TABLE = "/proc/net/route"
RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
# Wider routes lead to everything, as a default route does: VPNs divide it into two halves or more.
EVERYTHING = 8  # bits of a prefix
NOWHERE = ("blackhole", "unreachable", "prohibit", "throw", "broadcast", "multicast", "anycast")
# The ranges from which an engine takes docker0's, if no setting names it: the first that is free.
ENGINES_OWN = tuple(IPv4Network(f"172.{number}.0.0/16") for number in range(17, 32))
PROPOSALS = (
    *(f"172.{number}.0.0/20" for number in (30, 29, 28, 22)),
    *("10.230.0.0/20", "192.168.224.0/20", "100.96.0.0/20", "198.18.0.0/20"),
)


@dataclass(frozen=True)
class Use:
    """A range that is in use, and by what, in a few words. `device`: the one that a route leads to."""

    range: IPv4Network
    by: str
    device: str = ""


def parse_routes(text: str) -> list[Use]:
    """The ranges in what `ip -json -4 route show table all` prints, without those that mean everything."""
    found = []
    for route in json.loads(text or "[]"):
        kind, device = route.get("type", "unicast"), route.get("dev", "")
        if route["dst"] == "default" or kind in NOWHERE:
            continue
        target = IPv4Network(route["dst"], strict=False)
        if target.prefixlen < EVERYTHING or target.is_loopback:
            continue
        if kind == "local":
            found.append(Use(target, f"the host's own address {target.network_address} on {device}", device))
        else:
            found.append(Use(target, _route(target, device, route.get("gateway", "")), device))
    return found


def parse_main_table(text: str) -> list[Use]:
    """The same from /proc/net/route, which has the main table alone: for hosts without the program ip."""
    found = []
    for row in (line.split() for line in text.splitlines()[1:]):
        device, target, gateway, mask = row[0], *(_from_hex(row[column]) for column in (1, 2, 7))
        network = IPv4Network(f"{target}/{mask}", strict=False)
        if network.prefixlen >= EVERYTHING:
            found.append(Use(network, _route(network, device, str(gateway)), device))
    return found


def _route(target: IPv4Network, device: str, gateway: str) -> str:
    way = f" by way of {gateway}" if gateway not in ("", "0.0.0.0") else ""  # noqa: S104 - compared, not bound
    return f"the route {target} to {device or 'several devices'}{way}"


def _from_hex(word: str) -> IPv4Address:
    """An address as the kernel prints it: hex digits, the last byte first."""
    return IPv4Address(bytes.fromhex(word)[::-1])


def parse_peer(environment: bytes) -> str:
    """The address of the client in a process's environment (SSH_CONNECTION of sshd(8)), or nothing."""
    for entry in environment.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == b"SSH_CONNECTION" and value.split():
            return value.split()[0].decode("ascii", "replace")
    return ""


def reached_as(address: str) -> IPv4Address | None:
    """The IPv4 address that packets to `address` go to, or None.

    An IPv6 address may stand for one: sshd notes ::ffff:192.0.2.7 where it listens on both, and packets to
    2002:c000:207:: are sent to the IPv4 address within (RFC 3056).
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or parsed.sixtofour
    return parsed


def _peers(pid: int) -> Iterator[Use]:
    """The operator's address, which this process or the nearest of those that started it knows.

    sudo keeps it from programs, and was started with it itself.
    """
    seen = set()
    while pid > 1 and pid not in seen:
        seen.add(pid)
        try:
            with open(f"{PROCESSES}/{pid}/environ", "rb") as file:
                peer = parse_peer(file.read())
        except OSError:
            return
        if peer:
            address = reached_as(peer)
            if address:
                yield Use(
                    IPv4Network(address), f"your own SSH connection, which comes from {peer}: it would be cut"
                )
            return
        # The name in parentheses may hold anything: proc_pid_stat(5).
        fields = read_text(f"{PROCESSES}/{pid}/stat").rpartition(")")[2].split()
        pid = int(fields[1]) if len(fields) > 1 else 0


def _resolvers() -> Iterator[Use]:
    for path in RESOLVERS:
        for words in map(str.split, read_text(path).splitlines()):
            address = reached_as(words[1]) if len(words) > 1 and words[0] == "nameserver" else None
            if address and not address.is_loopback:
                yield Use(IPv4Network(address), f"the name server {address} of {path}")


def uses(machine: Machine) -> list[Use]:
    """All ranges in use on this host, the operator's connection first."""
    try:
        routes = parse_routes(machine.run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    except CommandFailed:
        raise
    except Problem:  # there is no such program
        routes = parse_main_table(read_text(MAIN_TABLE))
    return [*_peers(os.getpid()), *routes, *_resolvers()]


def of_an_engine_to_come(found: Sequence[Use]) -> list[Use]:
    """The range of docker0 on a host whose engine is still to be installed."""
    free = (each for each in ENGINES_OWN if not any(each.overlaps(use.range) for use in found))
    return [Use(each, f"Docker's own bridge docker0, which takes {each}") for each in list(free)[:1]]


def require_free(subnet: str, found: Iterable[Use]) -> None:
    """Raise Problem when `subnet` hides addresses that are in use, and propose one that does not."""
    found = list(found)
    wanted = IPv4Network(subnet)
    words = list(dict.fromkeys(use.by for use in found if use.range.overlaps(wanted)))
    if not words:
        return
    free = (each for each in PROPOSALS if not any(IPv4Network(each).overlaps(use.range) for use in found))
    proposal = next(free, None)
    raise Problem(
        f"the range {subnet} of the notebooks' network overlaps {'; and '.join(words[:3])}",
        "nothing was changed for it; choose another range in [network] subnet"
        + (f": {proposal} is free here" if proposal else ""),
    )
