"""The host keys that are trusted: the files are read as OpenSSH reads them."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import paramiko
import pytest

from provision.agent.events import Accepted
from provision.errors import HubwrightError
from provision.ssh import Access, Target, UnknownHostKey, fingerprint, known_hosts, note_host_key, sessions
from provision.ssh.known_hosts import Files, files

KEY = paramiko.ECDSAKey.generate()
OTHER_KEY = paramiko.ECDSAKey.generate()
RSA_KEY = paramiko.RSAKey.generate(2048)
TARGET = Target("host", 2222, "me")
NAME = "[host]:2222"


def text(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def meet(
    path: Path, key: paramiko.PKey = KEY, *, accept: bool = False, system: Path | None = None
) -> list[Any]:
    """Let the host show a key. Returns the events. The files are the system's, if any, and the operator's."""
    events: list[Any] = []
    read = (path,) if system is None else (system, path)
    access = Access(accept_new_host_key=accept, known_hosts=path)
    policy = known_hosts.known_only_policy(TARGET.name, Files(read, path), access, events.append)
    policy.missing_host_key(paramiko.SSHClient(), NAME, key)
    return events


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


def test_a_fingerprint_is_openssh_s() -> None:
    digest = hashlib.sha256(KEY.asbytes()).digest()
    kind, _, shown = fingerprint(KEY).partition(" SHA256:")
    assert kind == "ecdsa-sha2-nistp256"
    assert len(shown) == 43
    assert base64.b64decode(f"{shown}=") == digest


def test_an_unknown_key_is_refused_with_its_fingerprint(known: Path) -> None:
    with pytest.raises(UnknownHostKey) as caught:
        meet(known)
    assert str(caught.value) == f"host:2222: its host key is not known: {fingerprint(KEY)}"
    assert "--accept-new-host-key" in caught.value.hint
    assert not known.exists()


def test_an_accepted_key_is_noted_so_that_it_is_known_next_time(tmp_path: Path) -> None:
    known = tmp_path / "ssh" / "known_hosts"
    assert meet(known, accept=True) == [Accepted(fingerprint(KEY), str(known))]
    assert meet(known) == []
    with pytest.raises(HubwrightError, match="key has changed"):
        meet(known, OTHER_KEY, accept=True)
    assert known.parent.stat().st_mode & 0o777 == 0o700


# --- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"{NAME} {text(KEY)}",
        f"{NAME} {text(KEY)} me@there, of 2026",
        f"{NAME}\t{text(KEY)}",
        f"other,{NAME},third {text(KEY)}",
        f"[HOST]:2222 {text(KEY)}",
        f"[h?st]:* {text(KEY)}",
        f"{paramiko.HostKeys.hash_host(NAME)} {text(KEY)}",
        f"{NAME} {text(OTHER_KEY)}\n{NAME} {text(KEY)}",
        f"{NAME} {text(RSA_KEY)}\n{NAME} {text(KEY)}",
        f"@cert-authority * {text(OTHER_KEY)}\n{NAME} {text(KEY)}",
        f"@cert-authority {NAME} damaged\n{NAME} {text(KEY)}",
        f"@revoked * {text(OTHER_KEY)}\n{NAME} {text(KEY)}",
        f"@revoked other {text(KEY)}\n{NAME} {text(KEY)}",
        f"@newer * {text(OTHER_KEY)}\n{NAME} {text(KEY)}",
        f"other ssh-ed25519 no-key\n|1|damaged|x ssh-rsa AAAA\nother\n{NAME} {text(KEY)}",
        f"host {text(OTHER_KEY)}\nhost {text(KEY)}",
        f"!{NAME},* {text(KEY)}",
        f"{paramiko.HostKeys.hash_host('host')} {text(KEY)}",
        f"host {text(OTHER_KEY)}\n{NAME} {text(KEY)}",
        f"# a comment\n\n  {NAME} {text(KEY)}",
        f"{NAME} 1024 35 1234567890\n{NAME} {text(KEY)}",
    ],
)
def test_a_known_key(known: Path, line: str) -> None:
    known.write_text(f"{line}\n")
    assert meet(known) == []
    assert meet(known.with_name("none"), system=known) == []


@pytest.mark.parametrize(
    "line",
    [
        f"host {text(OTHER_KEY)}",
        f"!host,!{NAME},* {text(KEY)}",
        f"@cert-authority * {text(KEY)}",
        f"# {NAME} {text(KEY)}",
        f"h:2222 {text(KEY)}",
    ],
)
def test_a_key_that_is_not_known(known: Path, line: str) -> None:
    known.write_text(f"{line}\n")
    with pytest.raises(UnknownHostKey):
        meet(known)
    assert [type(event) for event in meet(known, accept=True)] == [Accepted]


def test_a_line_in_another_encoding_is_passed_over(known: Path) -> None:
    known.write_bytes(b"other ssh-rsa AAAA caf\xe9\n" + f"{NAME} {text(KEY)}\n".encode())
    assert meet(known) == []


@pytest.mark.parametrize("accept", [False, True])
def test_a_changed_key_is_refused_with_the_line_that_knows_another(known: Path, accept: bool) -> None:
    known.write_text(f"# mine\n{NAME} {text(RSA_KEY)}\n{NAME} {text(OTHER_KEY)}\n")
    with pytest.raises(HubwrightError) as caught:
        meet(known, accept=accept)
    assert str(caught.value) == (
        f"host:2222: the host's key has changed: it is {fingerprint(KEY)}, "
        f"known is {fingerprint(OTHER_KEY)} ({known}:3)"
    )
    assert f"ssh-keygen -f '{known}' -R '{NAME}'" in caught.value.hint


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize("names", ["*", NAME, "host", paramiko.HostKeys.hash_host(NAME)])
@pytest.mark.parametrize("listed", [False, True])
def test_a_revoked_key_is_refused_with_the_line_that_says_so(
    known: Path, accept: bool, names: str, listed: bool
) -> None:
    system = known.with_name("system")
    system.write_text(f"\n@revoked {names} {text(KEY)}\n")
    known.write_text(f"{NAME} {text(KEY)}\n" if listed else "")
    with pytest.raises(HubwrightError) as caught:
        meet(known, accept=accept, system=system)
    assert str(caught.value) == f"host:2222: its host key is revoked: {fingerprint(KEY)} ({system}:2)"
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    [f"{NAME} ssh-ed25519 no-key", NAME, f"* {KEY.get_name()} AAAA", f"@revoked * {KEY.get_name()} AAAA"],
)
def test_a_damaged_line_stops_the_host_that_it_names(
    known: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    known.write_text(f"#\n{line}\n")
    monkeypatch.setenv("HOME", str(known.parent))
    for access in (Access(known_hosts=known), Access(known_hosts=known, accept_new_host_key=True)):
        with pytest.raises(HubwrightError, match=f"{known}:2: no key can be read") as caught:
            sessions.run(TARGET, b"", {}, access, lambda _: None)
        assert caught.value.hint


def test_a_key_that_is_known_without_the_port_does_not_excuse_a_changed_one(known: Path) -> None:
    known.write_text(f"host {text(KEY)}\n{NAME} {text(OTHER_KEY)}\n")
    with pytest.raises(HubwrightError, match="key has changed"):
        meet(known)


def test_the_types_of_known_keys_are_told_for_the_handshake(known: Path) -> None:
    known.write_text(f"{NAME} {text(RSA_KEY)}\n{NAME} {text(KEY)}\n{NAME} {text(OTHER_KEY)}\n")
    found = known_hosts.known(NAME, [known])
    assert found.kinds == ("ssh-rsa", "ecdsa-sha2-nistp256")


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "configured", "read", "noted"),
    [
        (None, {}, ["SYSTEM", "SYSTEM2", "~/.ssh/known_hosts", "~/.ssh/known_hosts2"], "~/.ssh/known_hosts"),
        ("/k", {}, ["SYSTEM", "SYSTEM2", "/k"], "/k"),
        ("/k", {"userknownhostsfile": "/other"}, ["SYSTEM", "SYSTEM2", "/k"], "/k"),
        (None, {"userknownhostsfile": "~/a /b"}, ["SYSTEM", "SYSTEM2", "~/a", "/b"], "~/a"),
        (None, {"userknownhostsfile": '"/a b/%h" %d/1%%'}, ["SYSTEM", "SYSTEM2", "/a b/x.example", "~/1%"],
         "/a b/x.example"),
        ("/k", {"globalknownhostsfile": "/g /h"}, ["/g", "/h", "/k"], "/k"),
        ("/k", {"globalknownhostsfile": "none"}, [os.devnull, "/k"], "/k"),
        ("/k", {"globalknownhostsfile": '"/g'}, ['"/g', "/k"], "/k"),
    ],
)  # fmt: skip
def test_the_files_that_ssh_s_configuration_names(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    configured: dict[str, str],
    read: list[str],
    noted: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HUBWRIGHT_KNOWN_HOSTS", raising=False)
    if variable:
        monkeypatch.setenv("HUBWRIGHT_KNOWN_HOSTS", variable)
    found = files(Access(), {"hostname": "x.example", **configured})
    expected = [each.replace("SYSTEM", "/etc/ssh/ssh_known_hosts") for each in read]
    assert [str(path) for path in found.read] == [each.replace("~", str(tmp_path)) for each in expected]
    assert str(found.noted) == noted.replace("~", str(tmp_path))


def test_a_file_that_is_a_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HubwrightError, match=f"{tmp_path}: cannot be read: Is a directory") as caught:
        sessions.run(TARGET, b"", {}, Access(known_hosts=tmp_path), lambda _: None)
    assert "GlobalKnownHostsFile" in caught.value.hint


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("other ssh-rsa AAAA", "other ssh-rsa AAAA\n"), ("other x y\n", "other x y\n")],
)
def test_a_key_is_noted_on_a_line_of_its_own(known: Path, before: str, after: str) -> None:
    known.write_text(before)
    known_hosts.note(known, "host", "kind key")
    assert known.read_text() == f"{after}host kind key\n"


def test_a_key_that_cannot_be_noted(tmp_path: Path) -> None:
    with pytest.raises(HubwrightError, match=f"{tmp_path}: cannot be written: Is a directory") as caught:
        known_hosts.note(tmp_path, "host", "kind key")
    assert "HUBWRIGHT_KNOWN_HOSTS" in caught.value.hint


# --- a host that is not there yet -----------------------------------------------------------------


def test_the_key_of_a_host_to_come_is_noted_once(known: Path) -> None:
    known.write_text(f"{NAME} {text(RSA_KEY)}\n")
    for _ in range(2):
        note_host_key(TARGET, text(KEY), Access(known_hosts=known))
    assert known.read_text() == f"{NAME} {text(RSA_KEY)}\n{NAME} {text(KEY)}\n"


@pytest.mark.parametrize(
    ("line", "what"),
    [(f"{NAME} {text(OTHER_KEY)}", "another key of"), (f"@revoked * {text(KEY)}", "is revoked")],
)
def test_the_key_of_a_host_to_come_is_refused(known: Path, line: str, what: str) -> None:
    known.write_text(f"{line}\n")
    with pytest.raises(HubwrightError, match=what):
        note_host_key(TARGET, text(KEY), Access(known_hosts=known))
    assert known.read_text() == f"{line}\n"
