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
    _waiting_for_response = False
    container_id = "c1"
    state: int | None = None
    said: Any = b"no space left\n"

    async def start(self) -> tuple[str, int]:
        return "172.30.0.2", 8888

    async def stop(self, now: bool = False) -> None:
        pass

    async def poll(self) -> int | None:
        return self.state

    async def docker(self, command: str, container: str, tail: int) -> Any:
        assert (command, container, tail) == ("logs", "c1", 10)
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


class Counter:
    """prometheus_client's, as far as ours leans on it."""

    def __init__(self, *_: Any) -> None:
        self.counted: list[str] = []

    def labels(self, reason: str) -> Any:
        return SimpleNamespace(inc=lambda: self.counted.append(reason))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    fake = ModuleType("dockerspawner")
    vars(fake)["DockerSpawner"] = DockerSpawner
    monkeypatch.setitem(sys.modules, "dockerspawner", fake)
    counters = ModuleType("prometheus_client")
    vars(counters)["Counter"] = Counter
    monkeypatch.setitem(sys.modules, "prometheus_client", counters)
    module = importlib.import_module("services.ready_spawner")
    clock = SimpleNamespace(now=0.0)

    yields = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await yields(0)

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


# --- why a server did not start -------------------------------------------------------------------


def never_returns(module: Any, _: pytest.MonkeyPatch) -> Any:
    """A spawner whose start the hub has given up: it has not returned, and will not."""
    spawner = module.ReadySpawner()
    spawner._step = "container"
    return spawner


def raises(module: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    answers_after(module, monkeypatch, 1000)
    spawner = module.ReadySpawner()
    spawner.state = 1
    with pytest.raises(RuntimeError):
        asyncio.run(spawner.start())
    return spawner


def answers(module: Any, monkeypatch: pytest.MonkeyPatch, waiting: bool, seconds: float) -> Any:
    answers_after(module, monkeypatch, 0)
    spawner = module.ReadySpawner()
    asyncio.run(spawner.start())
    spawner._waiting_for_response = waiting
    module.clock.now += seconds
    return spawner


@pytest.mark.parametrize(
    ("made", "counted"),
    [
        (never_returns, ["timeout"]),
        (raises, ["error"]),
        (lambda m, p: answers(m, p, waiting=True, seconds=60), ["http_timeout"]),
        (lambda m, p: answers(m, p, waiting=True, seconds=59), ["http_error"]),
        (lambda m, p: answers(m, p, waiting=False, seconds=9000), []),
        (lambda m, _: m.ReadySpawner(), []),
    ],
    ids=[
        "timeout",
        "error",
        "http timeout",
        "http error",
        "an ordinary stop",
        "a stop after the hub's restart",
    ],
)
def test_a_failed_start_is_counted_once_with_its_reason(
    module: Any, monkeypatch: pytest.MonkeyPatch, made: Any, counted: list[str]
) -> None:
    spawner = made(module, monkeypatch)
    asyncio.run(spawner.stop())
    assert module.FAILURES.counted == counted
    asyncio.run(spawner.stop())
    assert module.FAILURES.counted == (counted if not spawner._waiting_for_response else counted * 2)


def test_whoever_waits_is_told_how_far_it_is(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers_after(module, monkeypatch, 0.5)
    spawner = module.ReadySpawner()

    async def scenario() -> list[dict[str, Any]]:
        told = []

        async def follow() -> None:
            async for event in spawner.progress():
                told.append(event)

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
        assert told == []
        await spawner.start()
        await following
        return told

    told = asyncio.run(scenario())
    assert [event["message"] for event in told] == [message for _, _, message in module.STEPS]
    percents = [event["progress"] for event in told]
    assert percents == sorted(percents)
    assert percents[0] > 0
    assert percents[-1] < 100
