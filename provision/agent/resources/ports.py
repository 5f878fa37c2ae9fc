"""Ports that a service is about to take."""

from __future__ import annotations

import errno
import glob
import os
import socket

from .base import Problem
from .fs import read_text

LISTENING = "0A"  # the state of a TCP socket in /proc/net/tcp


def require_free(protocol: str, address: str, port: int, setting: str, *, user: str) -> None:
    """Problem when somebody has the port that `user` needs; `setting` is the key that chooses another one."""
    if is_free(protocol, address, port):
        return
    holder = find_holder(protocol, port) or "another program"
    raise Problem(
        f"{user} needs {protocol.upper()} port {port} of {address}, which {holder} has taken",
        f"stop that, or choose another port in {setting}",
    )


def is_free(protocol: str, address: str, port: int) -> bool:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # old connections do not count
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def find_holder(protocol: str, port: int) -> str:
    """Name and number of the process that has a port, or nothing when it cannot be told."""
    inodes = {
        f"socket:[{inode}]"
        for table in (protocol, f"{protocol}6")
        for inode in parse_sockets(read_text(f"/proc/net/{table}"), port, listening=protocol == "tcp")
    }
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            if os.readlink(link) in inodes:
                pid = link.split("/")[2]
                return f"{read_text(f'/proc/{pid}/comm').strip()} (pid {pid})"
        except OSError:
            continue  # the process or the file has just gone
    return ""


def parse_sockets(table: str, port: int, *, listening: bool) -> list[str]:
    """Inodes of the sockets on a local port, from the lines of /proc/net/tcp or udp."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and (not listening or fields[3] == LISTENING):
            found.append(fields[9])
    return found
