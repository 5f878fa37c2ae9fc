"""A DockerSpawner that returns when the notebook server can be used, not when its container has started.

The hub asks a server that is not ready again and again with growing pauses, and so notices it up to a second
late. This spawner tries the port every few hundredths of a second, and fails as soon as a container ends,
with the last lines of its log. Servers start a few at a time, see start_line.py, and a visitor who waits sees
the progress. A start that fails says why, and is counted with its reason.

A server that has written more than `disk` allows is ended, and its container removed.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import ended_servers
import failed_starts
import start_line
from dockerspawner import DockerSpawner
from tornado.httpclient import HTTPClientError
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from traitlets import Integer

POLL_INTERVAL = 0.03  # seconds
LINE_INTERVAL = 0.5  # seconds; a hundred people may wait
STEPS = (
    ("container", 20, "Preparing your container"),
    ("server", 55, "Starting JupyterLab"),
    ("hub", 90, "Connecting you to it"),
)

COMMAND = "jupyterhub-singleuser"  # of images that name none
DOCKER = "/run/docker.sock"
DOCKER_REQUESTS = 2  # requests to Docker at once: adding up a container's files is work
DOCKER_TIMEOUT = 300.0  # seconds; Docker takes its time to add up, or to remove, some million files
REST_FACTOR = 10  # times as long as the last look took, before the next one


class ReadySpawner(DockerSpawner):  # type: ignore[misc]
    """Raises RuntimeError with the container's last lines when it ends before it answers."""

    disk = Integer(0, config=True, help="Bytes that a server may write before it is ended. 0: no limit.")
    starts_at_once = Integer(
        0, config=True, help="Servers that start at the same time. 0: as the host's cores allow."
    )

    _step = ""
    _began = 0.0
    _called_off = False
    _spawning: asyncio.Future[Any] | None = None
    _look: asyncio.Task[None] | None = None
    _rested = 0.0

    async def run_pre_spawn_hook(self) -> None:
        """Wait in line, then run the hub's own hook. The hub's time-out for a start begins after this."""
        self._step = "line"
        await self._line.turn(self)
        hooked = super().run_pre_spawn_hook()
        if inspect.isawaitable(hooked):
            await hooked

    async def start(self) -> tuple[str, int]:
        self._step = "container"
        try:
            ip, port = await super().start()
            self._step = "server"
            await self._until_it_answers(ip, port)
        finally:
            self._line.leave(self)  # the hub's own look at the server costs the host nothing
        self._step = "hub"
        return ip, port

    async def get_command(self) -> list[str]:
        """The image's own command; the usual one where the image names none and Docker says null."""
        if not self.cmd:
            found: Any = await self.docker("inspect_image", self.image)
            if not found["Config"]["Cmd"]:
                return [COMMAND, *self.get_args()]
        command: list[str] = await super().get_command()
        return command

    @property
    def _line(self) -> start_line.StartLine:
        return _line_of(self.starts_at_once or start_line.places(start_line.cores()))

    @property
    def _spawn_future(self) -> asyncio.Future[Any] | None:
        """The hub's own name for a start, from its beginning to its success or failure.

        Every start ends there, wherever it fails and whatever the hub does afterwards: stop() is not called
        for a container that has ended by itself.
        """
        return self._spawning

    @_spawn_future.setter
    def _spawn_future(self, start: asyncio.Future[Any] | None) -> None:
        self._spawning = start
        if start is not None:
            self._began, self._called_off = time.monotonic(), False
            start.add_done_callback(self._note_end_of_start)

    @property
    def ready(self) -> bool:
        """The hub's own, but for a start that was called off and is not cleared away yet.

        The hub would tell the page that such a server is ready, and the page would go there.
        """
        return not self._called_off and bool(super().ready)

    def _note_end_of_start(self, start: asyncio.Future[Any]) -> None:
        """Free the place of a start that has ended, and count it if it failed.

        The hub's own callbacks and all who wait for the start come after this one. A start that its visitor
        called off is no failure.
        """
        self._line.leave(self)
        step, self._step = self._step, ""
        self._called_off = start.cancelled()
        error = None if start.cancelled() else start.exception()
        if error is None:
            return
        seconds = time.monotonic() - self._began
        reason = failed_starts.reason_of(error, started=step == "hub")
        failed_starts.FAILED.labels(reason).observe(seconds)
        said = failed_starts.give_words(error, self._words_for(error, step))
        self.log.error(
            "%s's server did not start: %s (%s, %s, after %.1f s)",
            self._log_name,
            said,
            type(error).__name__,
            reason,
            seconds,
        )

    def _words_for(self, error: BaseException, step: str) -> str:
        """The words for a failure that brings none of its own."""
        if failed_starts.reason_of(error, started=False) != "timeout":
            return f"{type(error).__name__}, without further words; the log of the hub has more"
        found = {
            "container": "Docker had not started its container",
            "server": "its container ran, but JupyterLab did not answer",
            "hub": "JupyterLab did not answer the hub",
        }.get(step, "it was still being prepared")
        seconds = self.http_timeout if step == "hub" else self.start_timeout
        return f"the server was not ready within {seconds} seconds: {found}"

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """The messages that a visitor reads while waiting. The hub itself says that the server is ready."""
        told = 0
        while self._step in ("", "line"):
            number = self._line.number(self)
            if number and number != told:
                told = number
                yield {"progress": 5, "message": _words_in_line(number)}
            await asyncio.sleep(LINE_INTERVAL if number else POLL_INTERVAL)
        names = [name for name, _, _ in STEPS]
        for number, (_, percent, message) in enumerate(STEPS):
            while self._step not in names[number:]:
                await asyncio.sleep(POLL_INTERVAL)
            yield {"progress": percent, "message": message}

    async def _until_it_answers(self, ip: str, port: int) -> None:
        deadline = time.monotonic() + self.http_timeout
        looked = time.monotonic()
        while not await _answers(ip, port):
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                # Not our own poll, which would remove the container, and its log with it.
                if await super().poll() is not None:
                    raise RuntimeError(
                        f"the notebook server ended while it started:\n{await self._last_words()}"
                    )
            if looked > deadline:
                break  # the hub's own time-out ends the start
            await asyncio.sleep(POLL_INTERVAL)

    async def poll(self) -> Any:
        """None while the server runs. Removes a container that ended by itself: Docker would keep it."""
        status = await super().poll()
        if status is not None and self.object_id:
            await self.remove_object()
        return status

    async def poll_and_notify(self) -> Any:
        """Do as the hub does, and begin a look at what the server has written, without waiting for it."""
        status = await super().poll_and_notify()
        looking = self._look is not None and not self._look.done()
        if self.disk and status is None and not looking and time.monotonic() >= self._rested:
            self._look = asyncio.create_task(self._end_if_it_wrote_too_much(self.container_id))
        return status

    async def _end_if_it_wrote_too_much(self, container: str) -> None:
        """Remove a container that holds more than `disk`. It goes on when Docker cannot tell its size."""
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
            await self._keep_last_words()
            # At once: a server that is given time to end by itself could go on writing.
            await _ask_docker("DELETE", f"/containers/{container}?force=1&v=1")
        except Exception as error:  # Docker restarts, or is slow
            if not (isinstance(error, HTTPClientError) and error.code == 404):  # it has just ended
                self.log.warning("What %s writes could not be limited now: %s", self._log_name, error)
            return
        finally:
            self._rested = time.monotonic() + REST_FACTOR * (time.monotonic() - began)
        await super().poll_and_notify()

    async def remove_object(self) -> None:
        """Remove the container, as DockerSpawner does, and keep the end of its log for the operator."""
        await self._keep_last_words()
        await super().remove_object()

    async def _keep_last_words(self) -> None:
        """Keep the end of the log. A failure to do so does not keep a server from ending."""
        try:
            said: Any = await self.docker("logs", self.object_id, tail=ended_servers.MAX_LINES)
            said = said if isinstance(said, bytes) else str(said).encode()
            await asyncio.to_thread(ended_servers.keep, self.user.name, self.name, said)
        except Exception as error:
            self.log.warning("The last words of %s's server are not kept: %s", self._log_name, error)

    async def _last_words(self) -> str:
        try:
            said: Any = await self.docker("logs", self.container_id, tail=10)
        except Exception as error:  # the container may have been removed
            return str(error)
        return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _words_in_line(number: int) -> str:
    if number == 1:
        return "Many people are starting a server right now: you are next"
    return f"Many people are starting a server right now: you are number {number} in line"


@functools.cache
def _line_of(places: int) -> start_line.StartLine:
    """The one line in which all servers of this hub wait."""
    return start_line.StartLine(places)


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
    answer = await _engine().fetch(f"http://docker{path}", method=method, request_timeout=DOCKER_TIMEOUT)
    return answer.body


@functools.cache
def _engine() -> SimpleAsyncHTTPClient:
    return SimpleAsyncHTTPClient(force_instance=True, resolver=_Socket(), max_clients=DOCKER_REQUESTS)


class _Socket(Resolver):
    """A resolver that leads every name to Docker's socket."""

    async def resolve(
        self,
        host: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002
    ) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, DOCKER)]
