"""The authenticator of a shared password, over a parent that behaves like JupyterHub's own."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
import uuid
from collections.abc import Iterator
from hmac import compare_digest
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class SharedPasswordAuthenticator:
    """jupyterhub's, as far as ours uses it."""

    username_regex = re.compile(r"\w+")
    added: list[str]

    async def authenticate(self, _handler: Any, data: dict[str, str]) -> Any:
        return {"name": data["username"]} if compare_digest(data["password"], "correct-horse") else None

    def validate_username(self, username: str) -> bool:
        return bool(self.username_regex.match(username))

    def add_user(self, user: Any) -> None:
        if not self.validate_username(user.name):
            raise ValueError(f"Invalid username: {user.name}")


@pytest.fixture
def authenticator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    shared: Any = ModuleType("jupyterhub.authenticators.shared")
    shared.SharedPasswordAuthenticator = SharedPasswordAuthenticator
    for name in ("jupyterhub", "jupyterhub.authenticators"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, shared.__name__, shared)
    yield importlib.import_module("services.hub.shared_password").SharedPassword()
    sys.modules.pop("services.hub.shared_password")


@pytest.mark.parametrize(
    ("data", "enters"),
    [
        ({"username": "ada", "password": "correct-horse"}, True),
        ({"username": "ada", "password": "wrong"}, False),
        ({"username": "ada", "password": "wröng"}, False),
        ({"username": "ada"}, False),
        ({"username": "", "password": "correct-horse"}, False),
        ({"password": "correct-horse"}, False),
    ],
)
def test_a_made_up_form_is_refused_not_failed_on(
    authenticator: Any, data: dict[str, str], enters: bool
) -> None:
    assert bool(asyncio.run(authenticator.authenticate(None, data))) is enters


def user(name: str, *running: bool) -> Any:
    spawners = {str(n): SimpleNamespace(server=object() if up else None) for n, up in enumerate(running)}
    return SimpleNamespace(name=name, orm_spawners=spawners)


def test_an_account_of_the_time_without_a_password_is_to_be_deleted(authenticator: Any) -> None:
    temporary = str(uuid.uuid4())
    assert not authenticator.validate_username(temporary)
    for running in ((), (False,)):
        with pytest.raises(ValueError, match="Invalid username"):
            authenticator.add_user(user(temporary, *running))
    authenticator.add_user(user(temporary, False, True))  # its server would be left without an owner
    authenticator.add_user(user("ada"))
    assert authenticator.validate_username("ada")
