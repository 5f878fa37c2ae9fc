"""The culler that counts, over an idle culler that only logs."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest


class IdleCuller:
    """jupyterhub_idle_culler's, as far as ours uses it: only its log says what it ends."""

    log = logging.getLogger("test of the idle culler")

    def start(self) -> None:
        name = "somebody"
        self.log.setLevel(logging.INFO)
        self.log.info(f"Culling server {name} (inactive for 01:00:00)")
        self.log.info("Culling server %s (age: %s, inactive for %s)", name, "02:00:00", "00:01:00")
        self.log.info(f"Culling user {name} (inactive for 1:00:00)")
        self.log.debug("Not culling server %s (age: %s, inactive for %s)", name, "1", "1")
        self.log.warning(f"Server {name} is slow to stop")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    fake = ModuleType("jupyterhub_idle_culler")
    vars(fake)["IdleCuller"] = IdleCuller
    monkeypatch.setitem(sys.modules, "jupyterhub_idle_culler", fake)
    yield importlib.import_module("counting_culler")
    sys.modules.pop("counting_culler", None)
    IdleCuller.log.handlers.clear()


@pytest.mark.parametrize(
    ("port", "counted"), [("8125", ["culler.servers", "culler.servers", "culler.users"]), ("", [])]
)
def test_what_is_culled_is_counted(
    module: Any, monkeypatch: pytest.MonkeyPatch, port: str, counted: list[str]
) -> None:
    told: list[str] = []

    class Client:
        def __init__(self, host: str, port: int, prefix: str) -> None:
            assert (host, port, prefix) == ("127.0.0.1", 8125, "jupyterhub")

        def incr(self, name: str) -> None:
            told.append(name)

    monkeypatch.setattr(module.statsd, "StatsClient", Client)
    monkeypatch.setenv("STATSD_PORT", port)
    monkeypatch.setenv("METRICS_PREFIX", "jupyterhub")
    module.CountingCuller().start()
    assert told == counted
