"""A line for servers that are to start: as many at once as the host can bear, first come, first served.

The start of a server takes several seconds of a core's time. When a class comes at once and all servers start
together, none is ready before the time-out; one after another, all of them are.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

FEWEST, MOST = 2, 32


def places(cores: int) -> int:
    """The number of servers that may start at once on so many cores.

    While one of them waits for Docker or the disk, another has the core: three for two cores. Above 32 there
    is nothing to win, for DockerSpawner asks Docker one thing after another.
    """
    return max(FEWEST, min(cores + cores // 2, MOST))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


class StartLine:
    """Places for servers that start, and a line of those that wait for one. All in one event loop."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._starting: list[Any] = []
        self._waiting: list[tuple[Any, asyncio.Future[None]]] = []

    async def turn(self, server: Any) -> None:
        """Wait until `server` has a place. A server whose wait is cancelled leaves the line."""
        if len(self._starting) < self.places:  # then no server waits, see leave
            self._starting.append(server)
            return
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append((server, admitted))
        try:
            await admitted
        except asyncio.CancelledError:  # it may have been admitted in the same moment
            self.leave(server)
            raise

    def leave(self, server: Any) -> None:
        """Give up the place or the wait of `server`, if it has any, and let the next ones in."""
        self._starting = [one for one in self._starting if one != server]
        self._waiting = [(one, admitted) for one, admitted in self._waiting if one != server]
        while self._waiting and len(self._starting) < self.places:
            following, admitted = self._waiting.pop(0)
            self._starting.append(following)
            if not admitted.done():
                admitted.set_result(None)

    def number(self, server: Any) -> int:
        """The place of `server` in the line, 1 for the next to start; 0 when it does not wait."""
        return next((n for n, (one, _) in enumerate(self._waiting, 1) if one == server), 0)
