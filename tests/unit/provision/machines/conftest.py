"""The programs and the Vagrant of a computer on which machines are raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fakes.programs import Programs
from tests.support.fakes.vagrant import Vagrant, machine_programs


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Programs:
    return machine_programs(monkeypatch, tmp_path / "cache")


@pytest.fixture
def vagrant(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> Vagrant:
    return Vagrant.install(monkeypatch, programs)
