"""A DockerSpawner that returns when the notebook server can be used, not when its container has started.

The hub asks a server that is not ready again and again with growing pauses, and so notices it up to a second
late. Here the port is tried every few hundredths of a second, and a container that ends at once fails at
once, with its last words. Whoever waits is told how far it is; why a server did not start is counted.

A server that has written more than `disk` allows is ended, and its container removed.
"""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

from dockerspawner import DockerSpawner
from prometheus_client import Counter
from tornado.httpclient import HTTPClientError
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from traitlets import Integer

EVERY = 0.03  # seconds
STEPS = (
    ("container", 20, "Preparing your container"),
    ("server", 55, "Starting JupyterLab"),
    ("hub", 90, "Opening the door"),
)

FAILURES = Counter("hubwright_spawn_failures", "Servers that did not start, by reason", ["reason"])
for _reason in ("timeout", "error", "http_timeout", "http_error"):
    FAILURES.labels(_reason)  # so that a reason is there before its first failure


COMMAND = "jupyterhub-singleuser"  # of images that name none
DOCKER = "/run/docker.sock"
AT_ONCE = 2  # containers whose files Docker is asked to add up
PATIENCE = 300.0  # seconds; Docker takes its time to add up, or to remove, some million files
REST = 10  # times as long as the last look took, before the next one


class ReadySpawner(DockerSpawner):  # type: ignore[misc]
    """Raises RuntimeError with the container's last lines when it ends before it answers."""

    disk = Integer(0, config=True, help="Bytes that a server may write before it is ended. 0: no limit.")

    _step = ""
    _raised = False
    _answered = 0.0
    _look: asyncio.Task[None] | None = None
    _rested = 0.0

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

    async def get_command(self) -> list[str]:
        """The image's own command; the usual one where it names none, for which Docker has a null."""
        if not self.cmd:
            found: Any = await self.docker("inspect_image", self.image)
            if not found["Config"]["Cmd"]:
                return [COMMAND, *self.get_args()]
        command: list[str] = await super().get_command()
        return command

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

    async def poll_and_notify(self) -> Any:
        """The hub's own. Beside it a look at what the server has written begins, which nobody waits for."""
        status = await super().poll_and_notify()
        looking = self._look is not None and not self._look.done()
        if self.disk and status is None and not looking and time.monotonic() >= self._rested:
            self._look = asyncio.create_task(self._end_if_it_wrote_too_much(self.container_id))
        return status

    async def _end_if_it_wrote_too_much(self, container: str) -> None:
        """Removes a container that holds more than `disk`. One that Docker cannot tell of goes on."""
        began = time.monotonic()
        try:
            written = await _written(container)
            if written <= self.disk:
                return
            self.log.warning(
                "%s has written %d MiB, and may write %d: its server ends, and what it wrote is removed",
                self._log_name,
                written >> 20,
                self.disk >> 20,
            )
            # At once: in the time that a server is given to end by itself it could write on.
            await _ask_docker("DELETE", f"/containers/{container}?force=1&v=1")
        except Exception as error:  # Docker restarts, or is slow
            if not (isinstance(error, HTTPClientError) and error.code == 404):  # it has just ended
                self.log.warning("What %s writes could not be limited now: %s", self._log_name, error)
            return
        finally:
            self._rested = time.monotonic() + REST * (time.monotonic() - began)
        await super().poll_and_notify()

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


async def _written(container: str) -> int:
    """Bytes in the container's writable layer: the sizes of its files as `ls` shows them."""
    return int(json.loads(await _ask_docker("GET", f"/containers/{container}/json?size=1"))["SizeRw"])


async def _ask_docker(method: str, path: str) -> bytes:
    """The body of Docker's answer. Not through DockerSpawner: all servers share its one thread.

    Raises HTTPClientError for what Docker refuses, OSError when it is not there.
    """
    answer = await _engine().fetch(f"http://docker{path}", method=method, request_timeout=PATIENCE)
    return answer.body


@functools.cache
def _engine() -> SimpleAsyncHTTPClient:
    return SimpleAsyncHTTPClient(force_instance=True, resolver=_Socket(), max_clients=AT_ONCE)


class _Socket(Resolver):
    """Every name leads to Docker's socket."""

    async def resolve(
        self,
        host: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002
    ) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, DOCKER)]
