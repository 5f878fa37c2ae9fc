"""The spawner that waits for the notebook server, over a DockerSpawner without Docker."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class DockerSpawner:
    """dockerspawner's, as far as ours leans on it."""

    http_timeout = 60
    container_id = "c1"
    state: int | None = None
    said: Any = b"no space left\n"

    async def start(self) -> tuple[str, int]:
        return "172.30.0.2", 8888

    async def poll(self) -> int | None:
        return self.state

    async def docker(self, command: str, container: str, tail: int) -> Any:
        assert (command, container, tail) == ("logs", "c1", 10)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    fake = ModuleType("dockerspawner")
    vars(fake)["DockerSpawner"] = DockerSpawner
    monkeypatch.setitem(sys.modules, "dockerspawner", fake)
    module = importlib.import_module("services.ready_spawner")
    clock = SimpleNamespace(now=0.0)

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    vars(module)["clock"] = clock
    yield module
    sys.modules.pop("services.ready_spawner", None)


def answers_after(module: Any, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    async def answers(ip: str, port: int) -> bool:
        assert (ip, port) == ("172.30.0.2", 8888)
        return bool(module.clock.now >= seconds)

    monkeypatch.setattr(module, "_answers", answers)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 5.0])
def test_it_returns_as_soon_as_the_server_answers(
    module: Any, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    answers_after(module, monkeypatch, seconds)
    assert asyncio.run(module.ReadySpawner().start()) == ("172.30.0.2", 8888)
    assert seconds <= module.clock.now < seconds + 0.05


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"no space left\n", "no space left"),
        ("text", "text"),
        (RuntimeError("no such container"), "no such container"),
    ],
)
def test_a_container_that_ends_at_once_fails_at_once_with_its_last_words(
    module: Any, monkeypatch: pytest.MonkeyPatch, said: Any, words: str
) -> None:
    answers_after(module, monkeypatch, 1000)
    spawner = module.ReadySpawner()
    spawner.state, spawner.said = 1, said
    with pytest.raises(RuntimeError, match=f"ended while it started:\n{words}"):
        asyncio.run(spawner.start())
    assert module.clock.now < 2


def test_a_server_that_never_answers_is_left_to_the_hub_s_own_time_out(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_after(module, monkeypatch, 1000)
    assert asyncio.run(module.ReadySpawner().start()) == ("172.30.0.2", 8888)
    assert 60 < module.clock.now < 63


@pytest.mark.parametrize("error", [None, ConnectionRefusedError(), TimeoutError(), asyncio.TimeoutError()])
def test_a_port_answers_or_not(module: Any, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    closed = []

    async def open_connection(*_: Any) -> Any:
        if error is not None:
            raise error
        return None, SimpleNamespace(close=lambda: closed.append(True))

    monkeypatch.setattr(module.asyncio, "open_connection", open_connection)
    assert asyncio.run(module._answers("127.0.0.1", 1)) is (error is None)
    assert closed == ([True] if error is None else [])
