"""A run's driver, and the program on the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision.agent import code_cache, state
from provision.agent.resources import KINDS
from tests.support.fakes.things import Driver, Thing


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setitem(KINDS, "Thing", Thing)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr(state, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(code_cache, "FOLDER", str(tmp_path / "code"))
    monkeypatch.setattr(Thing, "world", {})
    monkeypatch.setattr(Thing, "log", [])
    return Driver(tmp_path / "state")
