"""An operator's own certificate: one that would fail is refused before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.errors import SettingsError
from provision.settings import Settings
from roles.shared.certificate_files import covers, read
from tests.support.fakes.host import inputs
from tests.support.pki import Issued, authority

NAME = "hub.example.org"
CA = authority()
GOOD = CA.issue(NAME)

Write = Callable[..., Settings]


@pytest.fixture
def write(hub: Callable[..., Settings], tmp_path: Path) -> Write:
    """Settings whose certificate and key have these texts; None leaves a file away."""

    def write(certificate: str | None, key: str | None, domain: str = NAME) -> Settings:
        for name, text in (("hub.crt", certificate), ("hub.key", key)):
            if text is not None:
                (tmp_path / name).write_text(text)
        places = f"certificate = '{tmp_path}/hub.crt'\nkey = '{tmp_path}/hub.key'"
        return hub(f"[hub]\ndomain = '{domain}'\n[tls]\nmode = 'files'\n{places}\n")

    return write


def test_key_certificate_and_chain_travel_as_one_text(write: Write) -> None:
    below = CA.issue("Intermediate", ca=True)
    leaf = below.issue(NAME)
    text = read(write(leaf.pem + below.pem, leaf.key()))
    assert text == leaf.key() + leaf.pem + below.pem


def test_the_key_is_in_no_representation(write: Write) -> None:
    given = inputs(write(GOOD.pem, GOOD.key()))
    assert GOOD.key() in given.certificate
    assert GOOD.key().splitlines()[1] not in repr(given)


def test_other_modes_read_nothing(hub: Callable[..., Settings]) -> None:
    assert read(hub()) == ""


def cases() -> dict[str, tuple[str | None, str | None, str]]:
    def both(issued: Issued) -> tuple[str, str]:
        return issued.pem, issued.key()

    return {
        "no certificate": (None, GOOD.key(), r"tls\.certificate: .*hub\.crt: cannot be read: No such file"),
        "no key": (GOOD.pem, None, r"tls\.key: .*hub\.key: cannot be read: No such file"),
        "not PEM": ("no PEM", GOOD.key(), r"tls\.certificate: .*holds no PEM certificate"),
        "cut off": (GOOD.pem[:200], GOOD.key(), r"tls\.certificate: .*holds no PEM certificate"),
        "no private key": (GOOD.pem, GOOD.pem, r"tls\.key: .*holds no private key"),
        "passphrase": (GOOD.pem, GOOD.key(b"abc"), r"tls\.key: .*has a passphrase"),
        "another key": (
            GOOD.pem,
            CA.issue(NAME).key(),
            r"tls\.key: .*is not the key of the first certificate",
        ),
        "expired": (*both(CA.issue(NAME, ends=-0.1)), r"tls\.certificate: .*expired on 20"),
        "expires soon": (*both(CA.issue(NAME, ends=0.5)), r"expires within a day"),
        "of the future": (*both(CA.issue(NAME, begins=1)), r"is not valid before 20"),
        "short key": (*both(CA.issue(NAME, bits=1024)), r"has an RSA key of 1024 bits"),
        "out of order": (
            GOOD.pem + authority("other").pem,
            GOOD.key(),
            r"out of order: certificate 2 of 2 did not issue the one before it",
        ),
        "authority first": (CA.pem + GOOD.pem, GOOD.key(), r"is not the key of the first certificate"),
        "another name": (
            *both(CA.issue("www.example.org", "10.0.0.1")),
            r"names 10\.0\.0\.1, www\.example\.org, not hub\.example\.org",
        ),
    }


@pytest.mark.parametrize(("certificate", "key", "reason"), list(cases().values()), ids=list(cases()))
def test_what_would_fail_is_refused(
    write: Write, certificate: str | None, key: str | None, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(write(certificate, key))
    assert re.search(reason, str(caught.value))
    assert caught.value.hint
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "domain", "fits"),
    [
        ("hub.example.org", "hub.example.org", True),
        ("Hub.Example.org", "hub.example.ORG", True),
        ("example.org", "hub.example.org", False),
        ("*.example.org", "hub.example.org", True),
        ("*.example.org", "a.hub.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.org", "org", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8:0::1", True),
    ],
)
def test_names_cover(name: str, domain: str, fits: bool) -> None:
    assert covers(name, domain) is fits
