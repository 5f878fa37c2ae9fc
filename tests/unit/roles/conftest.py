"""A described hub."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provision.settings import Settings
from tests.support.described import DESCRIPTIONS, PASSWORD, SHARED

HIDDEN = "correct-horse-battery"


@pytest.fixture(params=[*DESCRIPTIONS.values(), SHARED], ids=[*DESCRIPTIONS, "a shared password"])
def described(request: pytest.FixtureRequest, hub: Callable[..., Settings]) -> Settings:
    return hub(request.param, secrets=PASSWORD if request.param == SHARED else "")
