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
from tornado.web import HTTPError
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


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    fake = ModuleType("dockerspawner")
    vars(fake)["DockerSpawner"] = DockerSpawner
    monkeypatch.setitem(sys.modules, "dockerspawner", fake)
    counters = ModuleType("prometheus_client")
    vars(counters)["Summary"] = Summary
    monkeypatch.setitem(sys.modules, "prometheus_client", counters)
    for name in ("failed_starts", "start_line", "ended_servers"):
        sys.modules.pop(name, None)
    module = importlib.import_module("services.hub.ready_spawner")
    clock = SimpleNamespace(now=0.0)

    yields = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await yields(0)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    vars(module)["clock"] = clock
    kept: list[tuple[str, str, bytes]] = []
    monkeypatch.setattr(module.ended_servers, "keep", lambda *words: kept.append(words))
    vars(module)["kept"] = kept
    yield module
    for name in ("services.hub.ready_spawner", "failed_starts"):
        sys.modules.pop(name, None)


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


# --- the hub around it ----------------------------------------------------------------------------


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


def http_late() -> Exception:
    error = TimeoutError("Server at http://172.30.0.2:8888 didn't respond in 60 seconds")
    error.reason = "timeout"  # type: ignore[attr-defined]
    return error


def never() -> Any:
    return asyncio.Event()


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


# --- a crowd --------------------------------------------------------------------------------------


def test_servers_start_a_few_at_a_time_and_no_one_s_time_out_runs_in_the_line(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve servers of 0.05 s, two at a time, and 0.15 s for each: all together they take 0.3 s."""
    answers_after(module, monkeypatch, 0)
    at_once, most = 0, 0

    async def start(_: Any) -> tuple[str, int]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.get_running_loop().run_in_executor(None, module.wait, 0.05)
        at_once -= 1
        return "172.30.0.2", 8888

    module.wait = __import__("time").sleep
    monkeypatch.setattr(DockerSpawner, "start", start)

    async def scenario() -> list[BaseException | None]:
        hub = Hub(module)
        hub.timeout = 0.15
        return await ended(*(hub.begin(module.ReadySpawner(starts_at_once=2)) for _ in range(12)))

    assert asyncio.run(scenario()) == [None] * 12
    assert most == 2


@pytest.mark.parametrize("how", ["fails", "is late", "is called off", "is called off in line"])
def test_a_place_is_free_again_however_a_start_ends(
    module: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    answers_after(module, monkeypatch, 0)

    async def scenario() -> None:
        hub = Hub(module)
        hub.timeout = 0.05 if how == "is late" else 5
        first, second, third = (module.ReadySpawner(starts_at_once=1) for _ in range(3))
        first.starts = ValueError("no") if how == "fails" else never()
        second.starts = never() if how == "is called off in line" else None
        starts = [hub.begin(spawner) for spawner in (first, second, third)]
        for _ in range(5):
            await asyncio.sleep(0)
        if how == "is called off in line":
            starts[1].cancel()
            await ended(starts[1])
            assert first._line.number(third) == 1
            first.starts.set()
        if how == "is called off":
            starts[0].cancel()
        assert (await ended(*starts))[2] is None
        assert first._line._starting == first._line._waiting == []

    asyncio.run(scenario())


def test_a_start_that_is_called_off_between_its_turn_and_its_start_frees_the_place(module: Any) -> None:
    async def scenario() -> None:
        spawner = module.ReadySpawner(starts_at_once=1)

        async def spawn() -> None:
            await spawner.run_pre_spawn_hook()
            await asyncio.sleep(10)  # other preparations of the hub

        spawner._spawn_future = start = asyncio.ensure_future(spawn())
        await asyncio.sleep(0)
        assert spawner._line._starting == [spawner]
        start.cancel()
        await ended(start)
        assert spawner._line._starting == []

    asyncio.run(scenario())


def test_a_server_that_answers_has_no_place_any_more(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers_after(module, monkeypatch, 0)
    spawner = module.ReadySpawner(starts_at_once=1)

    async def scenario() -> None:
        await spawner.run_pre_spawn_hook()
        await spawner.start()
        assert spawner._line._starting == []

    asyncio.run(scenario())


def test_the_operator_s_own_hook_runs_at_a_server_s_turn(module: Any) -> None:
    spawner = module.ReadySpawner()
    asyncio.run(spawner.run_pre_spawn_hook())
    assert spawner.hooked == 1


def test_the_cores_decide_unless_the_settings_do(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.start_line, "cores", lambda: 4)
    assert module.ReadySpawner()._line.places == 6
    assert module.ReadySpawner(starts_at_once=5)._line.places == 5
    assert module.ReadySpawner()._line is module.ReadySpawner()._line, "all stand in one line"


def test_who_waits_in_line_is_told_the_place_as_it_changes(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_after(module, monkeypatch, 0)

    async def scenario() -> list[str]:
        hub = Hub(module)
        spawners = [module.ReadySpawner(starts_at_once=1) for _ in range(3)]
        for spawner in spawners[:2]:
            spawner.starts = never()
        told: list[str] = []

        async def follow() -> None:
            async for event in spawners[2].progress():
                told.append(event["message"])

        starts = [hub.begin(spawner) for spawner in spawners]
        following = asyncio.ensure_future(follow())
        for spawner in spawners[:2]:
            for _ in range(20):
                await asyncio.sleep(0)
            spawner.starts.set()
        await asyncio.wait([following], timeout=10)
        await ended(*starts)
        return told

    in_line = ["you are number 2 in line", "you are next"]
    told = asyncio.run(scenario())
    assert [message.rpartition(": ")[2] for message in told[:2]] == in_line
    assert told[2:] == [message for _, _, message in module.STEPS]


def test_a_visitor_who_waits_is_told_how_far_the_start_is(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
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


# --- files of a server ----------------------------------------------------------------------------

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
