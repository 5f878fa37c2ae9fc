"""Ports that a service is about to listen on."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from .base import Change, Machine, Problem, Resource
from .fs import read_text

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
PROCESSES = "/proc"
LISTENING = "0A"  # the kernel's include/net/tcp_states.h


@dataclass(frozen=True)
class FreePort(Resource):
    """Nobody but `unit` listens on a TCP port.

    `ours`: units that give the port up, because they are about to move to another or to go. Anybody else who
    has it is a Problem, which a plan already shows.
    """

    port: int
    unit: str
    ours: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"port:{self.port}:{self.unit}"

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
            machine.forget("systemd")

    def remove(self, machine: Machine) -> str | None:  # noqa: ARG002
        return None

    def _holder(self) -> Holder | None:
        sockets = {inode for table in TABLES for inode in parse_listeners(read_text(table), self.port)}
        return find_holder(sockets) if sockets else None


@dataclass(frozen=True)
class Holder:
    """A process that listens. `unit`: its unit of systemd without `.service`, if it belongs to one."""

    program: str
    pid: int
    unit: str

    def __str__(self) -> str:
        place = f" of {self.unit}.service" if self.unit else ""
        return f"{self.program} (pid {self.pid}){place}" if self.pid else "a process that cannot be seen"


def parse_listeners(table: str, port: int) -> set[str]:
    """Inodes of the sockets that listen on `port`, from /proc/net/tcp or tcp6: see proc_net(5)."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {
        row[9]
        for row in rows
        if len(row) > 9 and row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port
    }


def parse_unit(cgroups: str) -> str:
    """The service that a process belongs to, from its /proc/<pid>/cgroup; of nested ones the outermost."""
    for line in cgroups.splitlines():
        for part in line.rpartition(":")[2].split("/"):
            if part.endswith(".service"):
                return part.removesuffix(".service")
    return ""


def find_holder(sockets: set[str]) -> Holder:
    """Who has one of these sockets open."""
    wanted = {f"socket:[{inode}]" for inode in sockets}
    for pid in filter(str.isdigit, os.listdir(PROCESSES)):
        folder = f"{PROCESSES}/{pid}/fd"
        with contextlib.suppress(OSError):  # it may end while we look
            for handle in os.listdir(folder):
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{handle}") in wanted:
                        unit = parse_unit(read_text(f"{PROCESSES}/{pid}/cgroup"))
                        return Holder(read_text(f"{PROCESSES}/{pid}/comm").strip(), int(pid), unit)
    return Holder("", 0, "")
