"""The line of servers that are to start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import start_line


@pytest.mark.parametrize(
    ("cores", "places"), [(1, 2), (2, 3), (3, 4), (4, 6), (8, 12), (16, 24), (32, 32), (64, 32)]
)
def test_places_follow_the_cores(cores: int, places: int) -> None:
    assert start_line.places(cores) == places


class Crowd:
    """Servers that come to a line in the order of their names. `started`: those that had a turn so far."""

    def __init__(self, places: int, names: str) -> None:
        self.line = start_line.StartLine(places)
        self.started: list[str] = []
        self.tasks = {name: asyncio.ensure_future(self.come(name)) for name in names}

    async def come(self, name: str) -> None:
        await self.line.turn(name)
        self.started.append(name)

    async def settled(self) -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        return "".join(self.started)


def crowd(places: int, names: str, scenario: Callable[[Crowd], Awaitable[None]]) -> None:
    async def play() -> None:
        await scenario(Crowd(places, names))

    asyncio.run(asyncio.wait_for(play(), 10))


def test_as_many_as_there_are_places_start_and_the_others_in_their_order() -> None:
    async def scenario(crowd: Crowd) -> None:
        assert await crowd.settled() == "ab"
        assert [crowd.line.number(name) for name in "abcde"] == [0, 0, 1, 2, 3]
        crowd.line.leave("b")
        assert await crowd.settled() == "abc"
        assert [crowd.line.number(name) for name in "abcde"] == [0, 0, 0, 1, 2]
        crowd.line.leave("c")
        crowd.line.leave("a")
        assert await crowd.settled() == "abcde"

    crowd(2, "abcde", scenario)


def test_a_newcomer_does_not_overtake_who_has_been_let_in_but_does_not_know_yet() -> None:
    async def scenario(crowd: Crowd) -> None:
        assert await crowd.settled() == "a"
        crowd.line.leave("a")
        late = asyncio.ensure_future(crowd.come("z"))
        assert await crowd.settled() == "ab"
        assert crowd.line.number("z") == 2
        late.cancel()

    crowd(1, "abc", scenario)


def test_a_server_that_gives_up_waiting_leaves_the_line() -> None:
    async def scenario(crowd: Crowd) -> None:
        assert await crowd.settled() == "a"
        crowd.tasks["b"].cancel()
        assert await crowd.settled() == "a"
        assert crowd.line.number("c") == 1
        crowd.line.leave("a")
        assert await crowd.settled() == "ac"

    crowd(1, "abc", scenario)


def test_who_gives_up_in_the_moment_of_being_let_in_leaves_the_place_to_the_next() -> None:
    async def scenario(crowd: Crowd) -> None:
        assert await crowd.settled() == "a"
        crowd.line.leave("a")
        crowd.tasks["b"].cancel()
        assert await crowd.settled() == "ac"

    crowd(1, "abc", scenario)


def test_to_leave_twice_gives_one_place() -> None:
    async def scenario(crowd: Crowd) -> None:
        assert await crowd.settled() == "a"
        crowd.line.leave("a")
        crowd.line.leave("a")
        crowd.line.leave("never came")
        assert await crowd.settled() == "ab"

    crowd(1, "abc", scenario)
