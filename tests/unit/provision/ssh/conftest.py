"""No unit test asks ssh: where a test says nothing else, none is installed."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(autouse=True)
def _no_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
