"""Ports that a service is about to take."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass

from ..base import Change, Machine, Problem, Resource
from ..fs import read_text

PROCESSES = "/proc"
TABLES = "/proc/net"
LISTENING = "0A"  # the kernel's include/net/tcp_states.h
IP_FREEBIND = 15  # ip(7); not in Python's socket before 3.14


@dataclass(frozen=True)
class FreePort(Resource):
    """A TCP port on which only `unit` listens.

    `ours`: units that give the port up, because they are about to move to another or to be removed. Any other
    program on it is a Problem, which a plan already shows.
    """

    port: int
    unit: str
    ours: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"port:{self.port}:{self.unit}"

    def check_possible(self, machine: Machine) -> None:
        self.check(machine)

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        holder = self._holder()
        if holder is None or holder.unit == self.unit:
            return None
        if holder.unit in self.ours:
            return Change(f"stop {holder.unit}, which gives up port {self.port}")
        raise Problem(
            f"port {self.port} is taken by {holder}",
            "stop that program, or choose another [hub] port or [tls] redirect_port; "
            f"`ss -ltnp sport = :{self.port}` shows who listens",
        )

    def apply(self, machine: Machine) -> None:
        holder = self._holder()
        if holder and holder.unit in self.ours:
            machine.run(["systemctl", "stop", f"{holder.unit}.service"])
            machine.invalidate("systemd")

    def remove(self, machine: Machine) -> str | None:  # noqa: ARG002
        return None

    def _holder(self) -> Holder | None:
        return find_holder("tcp", self.port)


@dataclass(frozen=True)
class Holder:
    """A process that listens. `unit`: its unit of systemd without `.service`, if it belongs to one."""

    program: str
    pid: int
    unit: str

    def __str__(self) -> str:
        place = f" of {self.unit}.service" if self.unit else ""
        return f"{self.program} (pid {self.pid}){place}" if self.pid else "a process that cannot be seen"


def require_free(
    protocol: str, address: str, port: int, setting: str, *, user: str, ours: Collection[str] = ()
) -> None:
    """Raise Problem when another program has the port that the unit `user` needs.

    `setting`: the key that chooses another port; empty when there is none. `ours`: units that may have it
    now.
    """
    if is_free(protocol, address, port):
        return
    holder = find_holder(protocol, port)
    if holder and holder.unit in (user, *ours):
        return  # it is about to end
    whose = holder or "another program"
    raise Problem(
        f"{user} needs {protocol.upper()} port {port} of {address}, which {whose} has taken",
        f"stop that, or choose another port in {setting}" if setting else "stop that; this port is fixed",
    )


def is_free(protocol: str, address: str, port: int) -> bool:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections do not count
        # Docker makes the address later; who listens on all addresses has its port already.
        probe.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def parse_sockets(table: str, port: int, *, listening: bool) -> set[str]:
    """Inodes of the sockets on a local port, from /proc/net/tcp, udp, tcp6 or udp6: proc_net(5)."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {
        row[9]
        for row in rows
        if len(row) > 9
        and int(row[1].rpartition(":")[2], 16) == port
        and (row[3] == LISTENING or not listening)
    }


def parse_unit(cgroups: str) -> str:
    """The service that a process belongs to, from its /proc/<pid>/cgroup; the outermost of nested ones."""
    for line in cgroups.splitlines():
        for part in line.rpartition(":")[2].split("/"):
            if part.endswith(".service"):
                return part.removesuffix(".service")
    return ""


def find_holder(protocol: str, port: int) -> Holder | None:
    """The process that has a port of TCP or UDP, or None."""
    wanted = {
        f"socket:[{inode}]"
        for table in (protocol, f"{protocol}6")
        for inode in parse_sockets(read_text(f"{TABLES}/{table}"), port, listening=protocol == "tcp")
    }
    if not wanted:
        return None
    for pid in filter(str.isdigit, os.listdir(PROCESSES)):
        folder = f"{PROCESSES}/{pid}/fd"
        with contextlib.suppress(OSError):  # the process may end meanwhile
            for handle in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{handle}") in wanted:
                        unit = parse_unit(read_text(f"{PROCESSES}/{pid}/cgroup"))
                        return Holder(read_text(f"{PROCESSES}/{pid}/comm").strip(), int(pid), unit)
    return Holder("", 0, "")
