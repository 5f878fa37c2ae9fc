"""A DockerSpawner that returns when the notebook server can be used, not when its container has started.

The hub asks a server that is not ready again and again with growing pauses, and so notices it up to a second
late. Here the port is tried every few hundredths of a second, and a container that ends at once fails at
once, with its last words.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from dockerspawner import DockerSpawner

EVERY = 0.03  # seconds


class ReadySpawner(DockerSpawner):  # type: ignore[misc]
    """Raises RuntimeError with the container's last lines when it ends before it answers."""

    async def start(self) -> tuple[str, int]:
        ip, port = await super().start()
        deadline = time.monotonic() + self.http_timeout
        looked = time.monotonic()
        while not await _answers(ip, port):
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                if await super().poll() is not None:
                    raise RuntimeError(
                        f"the notebook server ended while it started:\n{await self._last_words()}"
                    )
            if looked > deadline:
                break  # the hub's own time-out says the rest
            await asyncio.sleep(EVERY)
        return ip, port

    async def poll(self) -> Any:
        """None while the server runs. A container that ended by itself goes: the engine keeps it."""
        status = await super().poll()
        if status is not None and self.object_id:
            await self.remove_object()
        return status

    async def _last_words(self) -> str:
        try:
            said: Any = await self.docker("logs", self.container_id, tail=10)
        except Exception as error:  # somebody may have removed the container
            return str(error)
        return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


async def _answers(ip: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port), timeout=1)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.close()
    return True
