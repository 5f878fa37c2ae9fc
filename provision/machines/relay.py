"""Relay ports of 127.0.0.1 to a virtual machine, until the file with its address changes.

    python -m provision.machines.relay LOCK ADDRESS-FILE 8000:443 …

Each connection is relayed separately, so a restart of the machine ends only the connections of that
moment. (libvirt's provider forwards ports through one SSH connection, which such a restart ends for good.)

The first line of standard output is `ready`, or an error; LOCK is held until the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import sys
from pathlib import Path

CONNECT_TIMEOUT = 10.0  # seconds for the machine to accept
PORT_TIMEOUT = 10.0  # seconds for the relay before this one to end
CHECK_EVERY = 0.5  # seconds between two checks of the file
CHUNK = 1 << 16
LOOPBACK = "127.0.0.1"


class Relay:
    """A relay from ports of this computer to ports of `host`."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._servers: list[asyncio.Server] = []

    async def listen(self, here: int, there: int) -> int:
        """Listen on a port, or on any for 0, and return its number. Raises OSError when it is taken."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._carry(reader, writer, there)

        server = await asyncio.start_server(accept, LOOPBACK, here)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: int) -> None:
        try:
            far = await asyncio.wait_for(asyncio.open_connection(self._host, there), CONNECT_TIMEOUT)
        except (OSError, asyncio.TimeoutError):
            writer.close()
            return
        await asyncio.gather(_pump(reader, far[1]), _pump(far[0], writer))
        for end in (writer, far[1]):
            end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side ends; the other direction may go on."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def state(file: Path) -> tuple[int, int] | None:
    """A value that differs for every rewritten file; None when there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


async def serve(file: Path, pairs: list[tuple[int, int]]) -> None:
    """Relay ports until the file is deleted or rewritten."""
    first = state(file)
    relay = Relay(json.loads(file.read_text(encoding="utf-8"))["HostName"])
    end = asyncio.get_running_loop().time() + PORT_TIMEOUT
    for here, there in pairs:
        while True:
            try:
                await relay.listen(here, there)
                break
            except OSError as error:
                if asyncio.get_running_loop().time() > end:
                    reason = os.strerror(error.errno or 0).lower()  # asyncio's own message shows Python data
                    raise OSError(error.errno, f"port {here} of {LOOPBACK} cannot be had: {reason}") from None
            await asyncio.sleep(CHECK_EVERY / 5)
    _answer("ready")
    while state(file) == first:
        await asyncio.sleep(CHECK_EVERY)
    relay.close()


def _answer(line: str) -> None:
    """Print a line for the program that started this one, and nothing after it."""
    os.write(1, f"{line}\n".encode())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


def main(lock: str, file: str, *pairs: str) -> None:
    with open(lock, "w") as held:  # noqa: PTH123 - as fcntl wants it
        fcntl.flock(held, fcntl.LOCK_EX)  # the relay before this one ends when it sees the new file
        numbers = [(int(here), int(there)) for here, there in (pair.split(":") for pair in pairs)]
        try:
            asyncio.run(serve(Path(file), numbers))
        except (OSError, ValueError, KeyError) as error:
            _answer(getattr(error, "strerror", None) or str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
