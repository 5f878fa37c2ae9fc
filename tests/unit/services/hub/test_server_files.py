"""Servers that write more than they may."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

LOOK = ("GET", "/containers/c1/json?size=1")
END = ("DELETE", "/containers/c1?force=1&v=1")


class Engine:
    """Docker, asked over its socket. `written`: bytes of every container, or the error for a question."""

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
            self.spawner.state, self.spawner.object_id = 137, ""
        return json.dumps({"SizeRw": self.written}).encode()

    def poll(self) -> Any:
        async def scenario() -> Any:
            status = await self.spawner.poll_and_notify()
            assert self.asked == before, "the hub does not wait for the look"
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
    assert len(engine.module.kept) == 1, "its owner may ask why"
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
