"""The next step for a missing program: a clone has `make setup`, a wheel has not."""

from __future__ import annotations

import pytest

from provision.tools import project


@pytest.mark.parametrize(
    ("setup", "hint"),
    [("`make setup`", "run `make setup`"), ("", "install it: sudo apt-get install docker.io")],
)
def test_how_to_install(monkeypatch: pytest.MonkeyPatch, setup: str, hint: str) -> None:
    monkeypatch.setattr(project, "SETUP", setup)
    assert project.how_to_install("docker", "docker.io") == hint
