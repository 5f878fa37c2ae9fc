"""A made-up DockerSpawner, and the hub around it."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets import HasTraits


class DockerSpawner(HasTraits):
    """dockerspawner's, as far as ours uses it."""

    start_timeout = http_timeout = 60
    hooked = 0
    starts: Any = None  # the error of start(), or an event to wait for
    _spawn_future: Any = None
    ready = True  # as JupyterHub has it as soon as nothing is pending
    container_id = object_id = "c1"
    state: int | None = None
    said: Any = b"no space left\n"
    log = logging.getLogger("hub")
    _log_name = "ada"
    removed = 0
    notified = 0

    def run_pre_spawn_hook(self) -> None:
        self.hooked += 1

    async def start(self) -> tuple[str, int]:
        if isinstance(self.starts, Exception):
            raise self.starts
        if self.starts is not None:
            await self.starts.wait()
        return "172.30.0.2", 8888

    async def poll(self) -> int | None:
        return self.state

    async def poll_and_notify(self) -> int | None:
        status: int | None = await self.poll()
        self.notified += status is not None
        return status

    async def remove_object(self) -> None:
        self.removed += 1

    cmd: Any = ()
    image = "ours:1"
    image_command: list[str] | None = None

    def get_args(self) -> list[str]:
        return ["--debug"]

    async def get_command(self) -> list[str]:
        return [*(self.cmd or self.image_command or ()), *self.get_args()]

    user = SimpleNamespace(name="ada")
    name = "lab"

    async def docker(self, command: str, container: str, tail: int = 0) -> Any:
        if command == "inspect_image":
            assert container == "ours:1"
            return {"Config": {"Cmd": self.image_command}}
        assert (command, container, tail in (10, 1000)) == ("logs", "c1", True)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


class Summary:
    """prometheus_client's, as far as ours uses it."""

    def __init__(self, *_: Any) -> None:
        self.observed: list[tuple[str, float]] = []

    def labels(self, reason: str) -> Any:
        return SimpleNamespace(observe=lambda seconds: self.observed.append((reason, seconds)))


def answers_after(module: Any, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    async def answers(ip: str, port: int) -> bool:
        assert (ip, port) == ("172.30.0.2", 8888)
        return bool(module.clock.now >= seconds)

    monkeypatch.setattr(module, "_answers", answers)


class Hub:
    """JupyterHub's part in a start, as user.py and handlers/base.py of 6.1.1 play it.

    `answer`: the outcome of the hub's own question over HTTP, once the spawner says that the server answers.
    """

    def __init__(self, module: Any, answer: Exception | None = None) -> None:
        self.module = module
        self.answer = answer
        self.timeout = 1.0  # seconds of the test's; the spawner's own are not waited for

    async def spawn(self, spawner: Any) -> None:
        await spawner.run_pre_spawn_hook()
        try:
            await asyncio.wait_for(spawner.start(), self.timeout)
        except Exception as error:
            if isinstance(error, asyncio.TimeoutError):
                error.reason = "timeout"  # type: ignore[attr-defined]
            raise
        if self.answer is not None:
            raise self.answer

    def begin(self, spawner: Any) -> asyncio.Future[None]:
        spawner._spawn_future = future = asyncio.ensure_future(self.spawn(spawner))
        return future


async def ended(*starts: asyncio.Future[None]) -> list[BaseException | None]:
    """The outcomes of starts, after the callbacks on their ends."""
    await asyncio.wait(starts, timeout=10)
    await asyncio.sleep(0)
    return [None if start.cancelled() else start.exception() for start in starts]


def never() -> Any:
    return asyncio.Event()
