"""Many starts at once: a few at a time, the others in a line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.fakes.spawner import DockerSpawner, Hub, answers_after, ended, never


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
