"""The spawner that waits for the notebook server, over a DockerSpawner without Docker."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from traitlets import HasTraits


class DockerSpawner(HasTraits):
    """dockerspawner's, as far as ours leans on it."""

    http_timeout = 60
    _waiting_for_response = False
    container_id = object_id = "c1"
    state: int | None = None
    said: Any = b"no space left\n"
    log = logging.getLogger("hub")
    _log_name = "ada"
    removed = 0
    notified = 0

    async def start(self) -> tuple[str, int]:
        return "172.30.0.2", 8888

    async def stop(self, now: bool = False) -> None:
        pass

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

    async def docker(self, command: str, container: str, tail: int = 0) -> Any:
        if command == "inspect_image":
            assert container == "ours:1"
            return {"Config": {"Cmd": self.image_command}}
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
    module = importlib.import_module("services.hub.ready_spawner")
    clock = SimpleNamespace(now=0.0)

    yields = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await yields(0)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    vars(module)["clock"] = clock
    yield module
    sys.modules.pop("services.hub.ready_spawner", None)


def answers_after(module: Any, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    async def answers(ip: str, port: int) -> bool:
        assert (ip, port) == ("172.30.0.2", 8888)
        return bool(module.clock.now >= seconds)

    monkeypatch.setattr(module, "_answers", answers)


@pytest.mark.parametrize(
    ("given", "image", "command"),
    [
        ((), ["start"], ["start", "--debug"]),
        ((), None, ["jupyterhub-singleuser", "--debug"]),
        ((), [], ["jupyterhub-singleuser", "--debug"]),
        (("mine",), None, ["mine", "--debug"]),
    ],
)
def test_an_image_without_a_command_gets_the_usual_one(
    module: Any, given: tuple[str, ...], image: list[str] | None, command: list[str]
) -> None:
    spawner = module.ReadySpawner()
    spawner.cmd, spawner.image_command = given, image
    assert asyncio.run(spawner.get_command()) == command


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


# --- what a server writes -------------------------------------------------------------------------

LOOK = ("GET", "/containers/c1/json?size=1")
END = ("DELETE", "/containers/c1?force=1&v=1")


class Engine:
    """Docker, asked over its socket. `written`: bytes of every container, or what happens to who asks."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = module
        self.asked: list[tuple[str, str]] = []
        self.written: int | Exception = 0
        self.seconds = 0.0
        self.spawner = module.ReadySpawner(disk=1000)
        monkeypatch.setattr(module, "_ask_docker", self.ask)

    async def ask(self, method: str, path: str) -> bytes:
        self.asked.append((method, path))
        self.module.clock.now += self.seconds
        if isinstance(self.written, Exception):
            raise self.written
        if method == "DELETE":
            self.spawner.state = 137
        return json.dumps({"SizeRw": self.written}).encode()

    def poll(self) -> Any:
        async def scenario() -> Any:
            status = await self.spawner.poll_and_notify()
            assert self.asked == before, "nobody waits for the look"
            if self.spawner._look is not None:
                await self.spawner._look
            return status

        before = [*self.asked]
        return asyncio.run(scenario())


@pytest.fixture
def engine(module: Any, monkeypatch: pytest.MonkeyPatch) -> Engine:
    return Engine(module, monkeypatch)


def test_a_server_that_wrote_too_much_is_ended_and_removed(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.written = 1000
    assert engine.poll() is None
    assert (engine.asked, engine.spawner.notified) == ([LOOK], 0)
    engine.written = 1001
    engine.poll()
    assert engine.asked == [LOOK, LOOK, END]
    assert engine.spawner.notified == 1, "the hub knows at once"
    assert "ada has written" in caplog.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError("no Docker"), "no Docker"),
        (HTTPClientError(500, "on its way down"), "on its way down"),
        (HTTPClientError(404), ""),
    ],
)
def test_a_server_that_docker_cannot_tell_of_goes_on(
    engine: Engine, caplog: pytest.LogCaptureFixture, error: Exception, said: str
) -> None:
    engine.written = error
    assert engine.poll() is None
    assert (engine.asked, engine.spawner.notified) == ([LOOK], 0)
    assert said in caplog.text
    assert bool(caplog.records) is bool(said), "that a server has just ended is nothing to tell"


def test_docker_is_not_asked_where_there_is_no_limit(engine: Engine) -> None:
    engine.spawner.disk, engine.written = 0, 1 << 50
    assert engine.poll() is None
    assert engine.asked == []


def test_docker_is_not_asked_about_a_server_that_has_ended(engine: Engine) -> None:
    engine.spawner.state = 1
    assert engine.poll() == 1
    assert (engine.asked, engine.spawner.removed) == ([], 1)


def test_docker_rests_longer_than_it_counted(engine: Engine) -> None:
    engine.seconds = 3.0
    for now, asked in ((0.0, 1), (13.0, 1), (32.0, 1), (34.0, 2)):
        engine.module.clock.now = now
        engine.poll()
        assert len(engine.asked) == asked


def test_one_look_at_a_time(engine: Engine) -> None:
    async def scenario() -> None:
        await engine.spawner.poll_and_notify()
        first = engine.spawner._look
        await engine.spawner.poll_and_notify()
        assert engine.spawner._look is first
        await first

    asyncio.run(scenario())
    assert engine.asked == [LOOK]


def test_every_name_leads_to_docker_s_socket(module: Any) -> None:
    [(family, place)] = asyncio.run(module._Socket().resolve("docker", 80))
    assert (family, place) == (module.socket.AF_UNIX, "/run/docker.sock")
