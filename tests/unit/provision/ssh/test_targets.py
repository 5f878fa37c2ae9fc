"""How hosts are named, and which of their keys are believed."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import paramiko
import pytest

from provision.agent.events import Accepted
from provision.errors import HubwrightError, SettingsError
from provision.ssh import Access, Target, UnknownHostKey, fingerprint, known_hosts, sessions

HIDDEN = "correct-horse-battery"
KEY = paramiko.ECDSAKey.generate()
OTHER_KEY = paramiko.ECDSAKey.generate()
TARGET = Target("host", 2222, "me")


@pytest.mark.parametrize(
    ("text", "host", "port", "user", "name"),
    [
        ("host", "host", None, None, "host"),
        ("me@host", "host", None, "me", "host"),
        ("me@host.example.org:2222", "host.example.org", 2222, "me", "host.example.org:2222"),
        ("127.0.0.1:22", "127.0.0.1", 22, None, "127.0.0.1:22"),
        ("root@[fd00::1]:22", "fd00::1", 22, "root", "fd00::1:22"),
        ("[::1]", "::1", None, None, "::1"),
    ],
)
def test_a_target_is_written_as_ssh_does(text: str, host: str, port: int, user: str, name: str) -> None:
    target = Target.parse(text, Path("key"))
    assert (target.host, target.port, target.user, target.identity) == (host, port, user, Path("key"))
    assert target.name == name
    assert not target.made_here


@pytest.mark.parametrize(
    "text", ["", "me@", "@host", "host:", "host:ssh", "a b", "me@host:1:2", "a@b@c", "::1"]
)
def test_no_targets(text: str) -> None:
    with pytest.raises(SettingsError, match="names no host"):
        Target.parse(text)


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_no_ports(port: str) -> None:
    with pytest.raises(SettingsError, match=f"'host:{port}': there is no port {port}") as caught:
        Target.parse(f"host:{port}")
    assert "1 to 65535" in caught.value.hint


# --- host keys ------------------------------------------------------------------------------------


def test_a_fingerprint_is_openssh_s() -> None:
    digest = hashlib.sha256(KEY.asbytes()).digest()
    kind, _, shown = fingerprint(KEY).partition(" SHA256:")
    assert kind == "ecdsa-sha2-nistp256"
    assert len(shown) == 43
    assert base64.b64decode(f"{shown}=") == digest


def policy(access: Access, events: list[Any]) -> paramiko.MissingHostKeyPolicy:
    return known_hosts.known_only_policy(TARGET.name, access, events.append)


def test_an_unknown_key_is_refused_with_its_fingerprint(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    with pytest.raises(UnknownHostKey) as caught:
        policy(Access(known_hosts=known), []).missing_host_key(paramiko.SSHClient(), "[host]:2222", KEY)
    assert str(caught.value) == f"host:2222: its host key is not known: {fingerprint(KEY)}"
    assert "--accept-new-host-key" in caught.value.hint
    assert not known.exists()


def test_an_accepted_key_is_noted_so_that_it_is_known_next_time(tmp_path: Path) -> None:
    known = tmp_path / "ssh" / "known_hosts"
    events: list[Any] = []
    access = Access(accept_new_host_key=True, known_hosts=known)
    policy(access, events).missing_host_key(paramiko.SSHClient(), "[host]:2222", KEY)
    assert events == [Accepted(fingerprint(KEY), str(known))]
    noted = paramiko.HostKeys(str(known))
    assert noted.check("[host]:2222", KEY)
    assert not noted.check("[host]:2222", OTHER_KEY)
    assert known.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("other ssh-rsa AAAA", "other ssh-rsa AAAA\n"), ("other x y\n", "other x y\n")],
)
def test_a_key_is_noted_on_a_line_of_its_own(tmp_path: Path, before: str, after: str) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(before)
    known_hosts.note(Access(known_hosts=known), "host", "kind key")
    assert known.read_text() == f"{after}host kind key\n"


def test_a_key_that_cannot_be_noted(tmp_path: Path) -> None:
    with pytest.raises(HubwrightError, match=f"{tmp_path}: cannot be written: Is a directory") as caught:
        known_hosts.note(Access(known_hosts=tmp_path), "host", "kind key")
    assert "HUBWRIGHT_KNOWN_HOSTS" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"other ssh-ed25519 no-key\n", "no key can be read from the line `other ssh-ed25519 no-key"),
        (b"\xff\xfe", "cannot be read: it is no text"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_known_hosts_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, what: str
) -> None:
    known = tmp_path / "known"
    known.write_bytes(content) if content else known.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for access in (Access(known_hosts=known), Access(known_hosts=known, accept_new_host_key=True)):
        with pytest.raises(HubwrightError) as caught:
            sessions.run(TARGET, b"", {}, access, lambda _: None)
        assert str(caught.value).startswith(f"{known}: {what}")
        assert caught.value.hint
