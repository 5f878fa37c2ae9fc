"""The hub's own modules, over a made-up DockerSpawner."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.support.fakes.spawner import DockerSpawner, Summary


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
