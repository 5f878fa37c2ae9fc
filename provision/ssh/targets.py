"""The hosts to connect to, and the operator's choices for that."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from provision.errors import SettingsError

if TYPE_CHECKING:
    import fabric

MAX_PORT = 65535
KNOWN_HOSTS = "~/.ssh/known_hosts"


@dataclass(frozen=True)
class Target:
    """A host to deploy on. `made_here`: this computer has just made it, so its key needs no check."""

    host: str
    port: int | None = None
    user: str | None = None
    identity: Path | None = None
    made_here: bool = False

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host

    @classmethod
    def parse(cls, text: str, identity: Path | None = None) -> Target:
        """The target that `host`, `user@host` or `user@host:port` names, as ssh and Fabric write them."""
        match = re.fullmatch(r"(?:([^@\s]+)@)?(\[[0-9a-fA-F:]+\]|[^@:\s]+)(?::(\d{1,5}))?", text)
        if match is None:
            raise SettingsError(f"{text!r} names no host", hint="write user@host or user@host:port")
        port = int(match[3]) if match[3] else None
        if port is not None and not 1 <= port <= MAX_PORT:
            raise SettingsError(f"{text!r}: there is no port {port}", hint="ports go from 1 to 65535")
        return cls(match[2].strip("[]"), port, match[1], identity)


class OpenConnections:
    """The connections that are open or being opened, so that another thread can close all of them."""

    def __init__(self) -> None:
        self.closed = False
        self._open: list[fabric.Connection] = []
        self._lock = threading.Lock()

    def add(self, connection: fabric.Connection) -> None:
        with self._lock:
            self._open.append(connection)

    def end(self, connection: fabric.Connection) -> None:
        with self._lock:
            self._open.remove(connection)
        hang_up(connection)

    def close(self) -> None:
        """Close all connections. One that is still being opened is closed right after that."""
        with self._lock:
            self.closed = True
            connections = list(self._open)
        for connection in connections:
            hang_up(connection)


@dataclass(frozen=True)
class Access:
    """The operator's choices for connecting to hosts."""

    accept_new_host_key: bool = False
    sudo_password: str | None = field(default=None, repr=False)
    known_hosts: Path = field(
        default_factory=lambda: Path(os.environ.get("HUBWRIGHT_KNOWN_HOSTS", KNOWN_HOSTS)).expanduser()
    )
    connections: OpenConnections = field(default_factory=OpenConnections, repr=False, compare=False)

    @property
    def usual_known_hosts(self) -> bool:
        """True when ssh's configuration may name other files of known hosts."""
        return self.known_hosts == Path(KNOWN_HOSTS).expanduser()


def hops(connection: fabric.Connection) -> list[fabric.Connection]:
    """The jump hosts of ssh's configuration in their order, then the host itself."""
    gateway = connection.gateway
    return [*([] if gateway is None or isinstance(gateway, str) else hops(gateway)), connection]


def hang_up(connection: fabric.Connection) -> None:
    for hop in reversed(hops(connection)):
        hop.client.close()  # Fabric's own close() ignores a connection that is still being opened
