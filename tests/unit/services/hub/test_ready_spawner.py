"""The spawner that waits for the notebook server, over a DockerSpawner without Docker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.fakes.spawner import answers_after


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


# --- last words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"Traceback\n", "Traceback\n"])
def test_the_last_words_of_a_container_stay_when_it_is_removed(module: Any, said: Any) -> None:
    spawner = module.ReadySpawner()
    spawner.said = said
    asyncio.run(spawner.remove_object())
    assert module.kept == [("ada", "lab", b"Traceback\n")]
    assert spawner.removed == 1


def test_a_container_goes_even_when_its_words_cannot_be_kept(
    module: Any, caplog: pytest.LogCaptureFixture
) -> None:
    spawner = module.ReadySpawner()
    spawner.said = OSError("No space left on device")
    asyncio.run(spawner.remove_object())
    assert spawner.removed == 1
    assert "The last words of ada's server are not kept: No space left on device" in caplog.text
