"""An address of this host as containers reach it: a firewall's rule may block it."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import time
from dataclasses import dataclass

from ..base import Change, CommandFailed, Machine, Problem, Resource

CLONE_NEWNET = 0x40000000  # setns(2); os.setns came with Python 3.12
CONNECT_TIMEOUT = 5.0  # seconds for one attempt: a dropped packet is sent again after one and three
CONTAINER_TIMEOUT = 20.0  # seconds for the container to start


@dataclass(frozen=True)
class ReachableFromContainer(Resource):
    """A TCP port of this host that programs in the network of `container` reach.

    It needs no change, so a plan does not show it; an apply tries it and reports a failure.
    `purpose`: the program that listens there, in a few words.
    """

    container: str
    address: str
    port: int
    purpose: str

    @property
    def id(self) -> str:
        return f"reachable:{self.container}:{self.address}:{self.port}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        return None

    def apply(self, machine: Machine) -> None: ...

    def remove(self, machine: Machine) -> str | None:  # noqa: ARG002
        return None

    def check_usable(self, machine: Machine) -> None:
        wrong = try_from(self._process(machine), self.address, self.port)
        if wrong:
            raise Problem(
                f"containers do not reach {self.purpose} at {self.address}:{self.port}: {wrong}",
                f"a firewall on this host may drop it: let TCP port {self.port} in from the container's "
                "bridge; `nft list ruleset` and `iptables-save` show the rules",
            )

    def _process(self, machine: Machine) -> int:
        """A process of the container. It may be starting at this moment."""
        end = time.monotonic() + CONTAINER_TIMEOUT
        while True:
            try:
                pid = int(machine.run(["docker", "inspect", "--format", "{{.State.Pid}}", self.container]))
            except CommandFailed:
                pid = 0
            if pid:
                return pid
            if time.monotonic() > end:
                raise Problem(
                    f"the container {self.container} does not run",
                    f"on the host: journalctl -u {self.container}",
                )
            time.sleep(0.2)


def try_from(pid: int, address: str, port: int) -> str:
    """The reason why the network of a process cannot open a connection; empty when it can."""
    told: list[str] = []

    def connect() -> None:
        try:
            enter_network(pid)
            socket.create_connection((address, port), timeout=CONNECT_TIMEOUT).close()
        except OSError as error:
            told.append(error.strerror or str(error))

    thread = threading.Thread(target=connect)  # a thread has a network of its own: setns(2)
    thread.start()
    thread.join()
    return "".join(told)


def enter_network(pid: int) -> None:
    """Move the calling thread to the network of a process."""
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)
