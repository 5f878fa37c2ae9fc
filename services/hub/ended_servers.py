"""The last lines of servers' logs, kept for a while after their containers are gone. Standard library only.

One file for each server that has ended: a line of JSON that says whose it was, then the end of its log. They
lie in the hub's own folder, which root and the hub may read: a log names notebooks and files of its owner.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/var/lib/jupyterhub/ended-servers")
MAX_LINES = 1000  # of each log
MAX_SIZE = 64 << 10  # bytes of each log
MAX_LOGS = 200  # logs
MAX_AGE = 7 * 86400  # seconds


@dataclass(frozen=True)
class Ended:
    """A server that has ended. `server` is "" for an account's default server, `ended` a Unix time."""

    user: str
    server: str
    ended: float
    file: Path

    def text(self) -> str:
        """The end of its log; nothing when it has been removed meanwhile."""
        try:
            _, _, log = self.file.read_bytes().partition(b"\n")
        except OSError:
            return ""
        return log.decode(errors="replace")


def keep(user: str, server: str, log: bytes, folder: Path = FOLDER) -> None:
    """Write the end of a log to a file, and remove logs that are too old or too many. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    now = time.time_ns()
    about = json.dumps({"user": user, "server": server, "ended": now / 1e9})
    unfinished = folder / f"{now}.new"
    try:
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(about.encode() + b"\n" + _end(log))
        unfinished.rename(folder / f"{now}.log")
    finally:
        unfinished.unlink(missing_ok=True)  # where the disk is full
    forget(folder)


def forget(folder: Path = FOLDER) -> None:
    """Remove the logs that are too old, and the oldest ones where there are too many."""
    border = time.time_ns() - MAX_AGE * 1_000_000_000
    newest_first = sorted(_files(folder), key=_moment, reverse=True)
    for place, file in enumerate(newest_first):
        if place >= MAX_LOGS or _moment(file) < border:
            file.unlink(missing_ok=True)


def found(folder: Path = FOLDER) -> list[Ended]:
    """The servers whose logs are kept, in the order of their ends. Other files are passed over."""
    border = time.time() - MAX_AGE
    servers = []
    for file in sorted(_files(folder), key=_moment):
        try:
            with file.open("rb") as log:
                about = json.loads(log.readline())
            server = Ended(str(about["user"]), str(about["server"]), float(about["ended"]), file)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if server.ended >= border:
            servers.append(server)
    return servers


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*.log") if file.stem.isdigit()]


def _moment(file: Path) -> int:
    return int(file.stem)


def _end(log: bytes) -> bytes:
    """The last complete lines that fit."""
    if len(log) <= MAX_SIZE:
        return log
    _, _, lines = log[-MAX_SIZE:].partition(b"\n")
    return lines
