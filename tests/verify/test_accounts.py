"""A hub that asks for a password lets in those that the settings let in."""

from __future__ import annotations

import secrets

import pytest

from provision.settings import Settings
from tests.verify.conftest import Probes, Visitor


@pytest.fixture
def _asks(settings: Settings) -> None:
    if settings.auth.type == "tmp":
        pytest.skip("the settings ask no visitor for a password")


@pytest.mark.usefixtures("_asks")
def test_a_wrong_password_is_refused(probes: Probes, browsed: tuple[str, str], visitor: Visitor) -> None:
    for password in (secrets.token_hex(8), "", "pässwörter"):
        assert probes.on_host("visitors", "knock", *browsed, visitor.name, password) == 403


@pytest.mark.usefixtures("_asks")
def test_the_name_of_a_temporary_account_is_refused(probes: Probes, browsed: tuple[str, str]) -> None:
    name = "00000000-0000-4000-8000-000000000000"
    assert probes.on_host("visitors", "knock", *browsed, name) == 403


@pytest.mark.usefixtures("_asks")
def test_an_admin_s_name_needs_another_password(
    probes: Probes, browsed: tuple[str, str], settings: Settings
) -> None:
    for name in settings.users.admins:
        assert probes.on_host("visitors", "knock", *browsed, name) == 403
        assert probes.on_host("visitors", "knock", *browsed, name.upper()) == 403
