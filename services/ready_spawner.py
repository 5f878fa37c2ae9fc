"""A DockerSpawner that returns when the notebook server can be used, not when its container has started.

The hub asks a server that is not ready again and again with growing pauses, and so notices it up to a second
late. Here the port is tried every few hundredths of a second, and a container that ends at once fails at
once, with its last words. Whoever waits is told how far it is; why a server did not start is counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from dockerspawner import DockerSpawner
from prometheus_client import Counter

EVERY = 0.03  # seconds
STEPS = (
    ("container", 20, "Preparing your container"),
    ("server", 55, "Starting JupyterLab"),
    ("hub", 90, "Opening the door"),
)

FAILURES = Counter("hubwright_spawn_failures", "Servers that did not start, by reason", ["reason"])
for _reason in ("timeout", "error", "http_timeout", "http_error"):
    FAILURES.labels(_reason)  # so that a reason is there before its first failure


class ReadySpawner(DockerSpawner):  # type: ignore[misc]
    """Raises RuntimeError with the container's last lines when it ends before it answers."""

    _step = ""
    _raised = False
    _answered = 0.0

    async def start(self) -> tuple[str, int]:
        self._step, self._raised = "container", False
        try:
            ip, port = await super().start()
            self._step = "server"
            await self._until_it_answers(ip, port)
        except Exception:
            self._raised = True
            raise
        self._step, self._answered = "hub", time.monotonic()
        return ip, port

    async def stop(self, now: bool = False) -> None:
        if reason := self._failure():
            FAILURES.labels(reason).inc()
        self._step = ""
        await super().stop(now)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What a visitor reads while waiting. The hub itself says that the server is ready."""
        names = [name for name, _, _ in STEPS]
        for number, (_, percent, message) in enumerate(STEPS):
            while self._step not in names[number:]:
                await asyncio.sleep(EVERY)
            yield {"progress": percent, "message": message}

    def _failure(self) -> str:
        """Why the hub stops a server that has not become ready, in StatsD's old words; or nothing."""
        if self._step in ("container", "server"):
            return "error" if self._raised else "timeout"
        if self._waiting_for_response:
            late = time.monotonic() - self._answered >= self.http_timeout
            return "http_timeout" if late else "http_error"
        return ""

    async def _until_it_answers(self, ip: str, port: int) -> None:
        deadline = time.monotonic() + self.http_timeout
        looked = time.monotonic()
        while not await _answers(ip, port):
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                if await super().poll() is not None:  # ours would remove what it has to say
                    raise RuntimeError(
                        f"the notebook server ended while it started:\n{await self._last_words()}"
                    )
            if looked > deadline:
                break  # the hub's own time-out says the rest
            await asyncio.sleep(EVERY)

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
