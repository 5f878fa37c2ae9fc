"""Starts of servers that fail, and the reasons that the hub counts and shows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tornado.web import HTTPError

from tests.support.fakes.spawner import Hub, answers_after, ended, never


def http_late() -> Exception:
    error = TimeoutError("Server at http://172.30.0.2:8888 didn't respond in 60 seconds")
    error.reason = "timeout"  # type: ignore[attr-defined]
    return error


# --- reasons of failed starts ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "answer", "state", "reason", "words"),
    [
        (never, None, None, "timeout", "not ready within 60 seconds: Docker had not started its container"),
        (None, None, 1, "error", "the notebook server ended while it started"),
        (lambda: ValueError(), None, None, "error", "ValueError, without further words"),
        (lambda: ValueError(" "), None, None, "error", "ValueError, without further words"),
        (lambda: ValueError("no image"), None, None, "error", "no image"),
        (None, http_late, 0, "http_timeout", "didn't respond in 60 seconds"),
        (None, asyncio.TimeoutError, 0, "http_timeout", "60 seconds: JupyterLab did not answer the hub"),
        (None, lambda: ConnectionResetError("reset"), 0, "http_error", "reset"),
    ],
)
def test_a_start_that_fails_is_counted_once_and_says_why(
    module: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    starts: Any,
    answer: Any,
    state: int | None,
    reason: str,
    words: str,
) -> None:
    answers_after(module, monkeypatch, 1000 if state else 0)

    async def scenario() -> None:
        spawner, hub = module.ReadySpawner(), Hub(module, answer() if answer else None)
        spawner.starts, spawner.state, hub.timeout = starts and starts(), state, 0.05 if starts else 5
        module.clock.now = 100
        [error] = await ended(hub.begin(spawner))
        assert error is not None
        assert words in str(error), "what the visitor reads while the page waits"
        assert error.jupyterhub_message == str(error), "what the pages and the API say afterwards"  # type: ignore[attr-defined]
        assert f"({type(error).__name__}, {reason}" in caplog.text
        assert words in caplog.text
        spawner._spawn_future = None  # the hub clears it before the next start

    asyncio.run(scenario())
    [(counted, seconds)] = module.failed_starts.FAILED.observed
    assert counted == reason
    assert 0 <= seconds < 5


def test_a_refusal_of_the_hub_keeps_its_own_words(module: Any) -> None:
    error = HTTPError(400, "no such image")
    assert "no such image" in module.failed_starts.give_words(error, "other words")
    assert not hasattr(error, "jupyterhub_message")


def test_a_failure_that_cannot_be_given_words_has_them_for_the_hub(module: Any) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            return ""

    error: Any = Mute()
    assert module.failed_starts.give_words(error, "words") == "words"
    assert error.jupyterhub_message == "words"


def test_a_start_that_succeeds_or_is_called_off_is_no_failure(
    module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers_after(module, monkeypatch, 0)

    async def scenario() -> None:
        hub, spawner, other = Hub(module), module.ReadySpawner(), module.ReadySpawner()
        assert await ended(hub.begin(spawner)) == [None]
        other.starts = never()
        start = hub.begin(other)
        await asyncio.sleep(0)
        start.cancel()
        assert await ended(start) == [None]

    asyncio.run(scenario())
    assert module.failed_starts.FAILED.observed == []
    assert caplog.text == ""


def test_a_start_that_was_called_off_is_not_told_to_be_ready(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_after(module, monkeypatch, 0)

    async def scenario() -> None:
        spawner = module.ReadySpawner()
        spawner.starts = never()
        start = Hub(module).begin(spawner)
        seen: list[bool] = []
        start.add_done_callback(lambda _: seen.append(spawner.ready))  # as the page's stream does
        await asyncio.sleep(0)
        start.cancel()
        await ended(start)
        assert seen == [False]
        spawner.starts = None
        await ended(Hub(module).begin(spawner))
        assert spawner.ready

    asyncio.run(scenario())
