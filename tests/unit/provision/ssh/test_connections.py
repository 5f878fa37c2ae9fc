"""Connections by jump hosts and ssh's configuration; nothing is really connected."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fabric
import paramiko
import pytest
from paramiko.ssh_exception import NoValidConnectionsError

from provision.errors import HubwrightError, SettingsError
from provision.ssh import Access, Target, UnknownHostKey, connections, known_hosts, sessions

HIDDEN = "correct-horse-battery"
KEY = paramiko.ECDSAKey.generate()
TARGET = Target("host", 2222, "me")


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_the_host_is_asked_for_a_key_of_the_type_that_is_known(kind: str) -> None:
    line: Any = SimpleNamespace(settimeout=lambda _: None)
    ours = connections._transport(line, kinds=[kind]).get_security_options().key_types
    usual = paramiko.Transport(line).get_security_options().key_types
    assert ours[0] == ("rsa-sha2-512" if kind == "ssh-rsa" else kind)
    assert set(ours) == set(usual)


def test_aes_gcm_is_tried_first_and_nothing_is_left_out() -> None:
    line: Any = SimpleNamespace(settimeout=lambda _: None)
    ours, usual = (
        kind(line).get_security_options().ciphers for kind in (connections._transport, paramiko.Transport)
    )
    assert "-gcm@" in ours[0]
    assert set(ours) == set(usual)


# --- the operator's own key -----------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    KEY.write_private_key_file(str(tmp_path / "id"))
    KEY.write_private_key_file(str(tmp_path / "locked"), password=HIDDEN)
    (tmp_path / "id.pub").write_text(f"{KEY.get_name()} {KEY.get_base64()}\n")
    (tmp_path / "hub.toml").write_text("[hub]\n")
    (tmp_path / "program").write_bytes(b"\x7fELF\xff\xfe")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("id.pub", "this is no private key", "-i {folder}/id"),
        ("hub.toml", "this is no private key", "ssh-keygen"),
        ("program", "this is no private key", "ssh-keygen"),
        ("locked", "the key wants a passphrase", "ssh-add {folder}/locked"),
        ("folder", "cannot be read: Is a directory", "private key"),
        ("gone", "cannot be read: No such file or directory", "private key"),
    ],
)
def test_what_nobody_logs_in_with(keys: Path, name: str, what: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        connections.require_key(keys / name)
    assert str(caught.value).startswith(f"{keys / name}: {what}")
    assert hint.format(folder=keys) in caught.value.hint


def test_a_private_key_will_do(keys: Path) -> None:
    connections.require_key(keys / "id")


# --- ssh's configuration --------------------------------------------------------------------------

Configured = Callable[[str], None]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    """A function that writes the operator's ~/.ssh/config."""

    def write(text: str) -> None:
        (tmp_path / ".ssh").mkdir(exist_ok=True)
        (tmp_path / ".ssh" / "config").write_text(text)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(known_hosts, "SYSTEM", tmp_path / "none")
    return write


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[fabric.Connection]:
    """Connections in the order in which they are opened, each of which succeeds over a line of `Channel`s."""
    found: list[fabric.Connection] = []

    def open_(connection: fabric.Connection) -> None:
        found.append(connection)
        connection.transport = SimpleNamespace(set_keepalive=lambda _: None, sock=SimpleNamespace())

    monkeypatch.setattr(fabric.Connection, "open", open_)
    return found


JUMPS = """
Host inside
  HostName inside.example
  ProxyJump {jumps}
  ConnectTimeout 10
Host front
  HostName front.example
  Port 2200
  User porter
"""


def enter(target: Target, access: Access) -> None:
    with connections.connected(target, access, lambda _: None):
        pass


def test_the_configured_patience_is_in_force(configured: Configured, opened: list[fabric.Connection]) -> None:
    configured("Host slow\n  ConnectTimeout 77\n")
    for name in ("slow", "usual"):
        enter(Target(name), Access())
    assert [connection.connect_timeout for connection in opened] == [77, 15]
    assert all("timeout" not in connection.connect_kwargs for connection in opened)


@pytest.mark.parametrize(
    ("jumps", "passed"),
    [
        ("front", [("porter", "front.example", 2200)]),
        ("front,me@second", [("porter", "front.example", 2200), ("me", "second", 22)]),
        ("none", []),
    ],
)
def test_jump_hosts_are_passed_in_the_order_of_ssh(
    configured: Configured, opened: list[fabric.Connection], jumps: str, passed: list[Any]
) -> None:
    configured(JUMPS.format(jumps=jumps))
    enter(Target("inside", user="me"), Access())
    found = [(hop.user, hop.host, hop.port) for hop in opened]
    assert found == [*passed, ("me", "inside.example", 22)]
    assert all(hop.connect_kwargs["banner_timeout"] == connections.SSH_CONNECT_TIMEOUT for hop in opened)


def test_a_jump_host_s_unknown_key_is_refused_like_any_other(
    configured: Configured, opened: list[fabric.Connection], tmp_path: Path
) -> None:
    configured(JUMPS.format(jumps="front"))
    known = tmp_path / "known"
    known.write_text(f"[front.example]:2200 {KEY.get_name()} {KEY.get_base64()}\n")
    enter(Target("inside"), Access(known_hosts=known))
    jump, _ = opened
    jump.client._policy.missing_host_key(jump.client, "[front.example]:2200", KEY)
    with pytest.raises(UnknownHostKey, match="inside: its jump host front: its host key is not known"):
        jump.client._policy.missing_host_key(jump.client, "other", KEY)


def test_a_jump_host_that_lets_nobody_in_is_named(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(JUMPS.format(jumps="front"))

    def refuse(_: Any) -> None:
        raise paramiko.AuthenticationException

    monkeypatch.setattr(fabric.Connection, "open", refuse)
    with pytest.raises(HubwrightError, match="inside: its jump host front: porter is not let in") as caught:
        enter(Target("inside"), Access())
    assert "-i" not in caught.value.hint


@pytest.mark.parametrize(
    "text", ["nonsense\n", "Host inside\n  Port x\n", "Host inside\n  ProxyJump front:x\n"]
)
def test_a_configuration_that_makes_no_sense(configured: Configured, text: str) -> None:
    configured(text)
    with pytest.raises(HubwrightError, match=r"inside: ssh's configuration cannot be used: ") as caught:
        enter(Target("inside"), Access())
    assert "ssh -G inside" in caught.value.hint


def test_a_proxy_command_that_fails_is_shown(configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    configured("Host inside\n  ProxyCommand nc proxy %h\n")

    def fail(_: Any) -> None:
        raise FileNotFoundError(2, "No such file or directory", "nc")

    monkeypatch.setattr(fabric.Connection, "open", fail)
    with pytest.raises(HubwrightError, match="does not answer") as caught:
        enter(Target("inside"), Access())
    assert "nc proxy inside" in caught.value.hint


def test_no_configuration_leads_away_from_a_machine_that_was_made_here(
    configured: Configured, opened: list[fabric.Connection]
) -> None:
    configured("Host *\n  HostName elsewhere\n  ProxyJump front\n  ConnectTimeout 1\n")
    enter(Target("127.0.0.1", 2222, "me", made_here=True), Access())
    (machine,) = opened
    assert (machine.host, machine.connect_timeout) == ("127.0.0.1", connections.MACHINE_CONNECT_TIMEOUT)


# --- hanging up -----------------------------------------------------------------------------------


def test_whoever_interrupts_hangs_up_on_all(configured: Configured, opened: list[fabric.Connection]) -> None:
    configured(JUMPS.format(jumps="front"))
    access, closed = Access(), []
    with connections.connected(Target("inside"), access, lambda _: None):
        for hop in opened:
            hop.client.close = lambda hop=hop: closed.append(hop.host)
        access.connections.close()
        assert closed == ["inside.example", "front.example"]
    with pytest.raises(HubwrightError, match="other: stopped"):
        enter(Target("other"), access)


# --- getting in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "what", "hint"),
    [
        (paramiko.AuthenticationException("no"), "me is not let in", "-i FILE"),
        (
            NoValidConnectionsError({("host", 2222): ConnectionRefusedError(111, "Connection refused")}),
            "cannot connect: Connection refused",
            "is its sshd running",
        ),
        (socket.gaierror(-2, "Name or service not known"), "no such host", "spelling"),
        (UnicodeError("encoding with 'idna' codec failed"), "no such host", "spelling"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "a key of ssh's configuration", "-i FILE"),
        (paramiko.ChannelException(2, "Connect failed"), "does not answer: Connect failed", "firewall"),
        (TimeoutError("timed out"), "does not answer: timed out", "firewall"),
        (TimeoutError(), "does not answer: TimeoutError", "firewall"),
        (
            paramiko.SSHException("Error reading SSH protocol banner"),
            "does not answer: Error reading",
            "firewall",
        ),
        (EOFError(), "does not answer: EOFError", "firewall"),
        (UnknownHostKey("its host key is not known", where="host:2222"), "its host key is not known", ""),
    ],
)
def test_a_host_that_cannot_be_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, what: str, hint: str
) -> None:
    def refuse(_: Any) -> None:
        raise error

    monkeypatch.setattr(fabric.Connection, "open", refuse)
    with pytest.raises(HubwrightError) as caught:
        sessions.run(TARGET, b"", {}, Access(known_hosts=tmp_path / "none"), lambda _: None)
    assert str(caught.value).startswith(f"host:2222: {what}")
    assert hint in caught.value.hint


@pytest.mark.parametrize("made_here", [False, True])
def test_only_a_machine_that_was_made_here_needs_no_known_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_here: bool
) -> None:
    """Fabric alone would accept any key."""
    known = tmp_path / "known_hosts"
    known.write_text(f"[other]:2222 {KEY.get_name()} {KEY.get_base64()}\n")
    clients: list[Any] = []

    def opened(connection: fabric.Connection) -> None:
        clients.append(connection.client)
        raise TimeoutError

    monkeypatch.setattr(known_hosts, "SYSTEM", tmp_path / "none")
    monkeypatch.setattr(fabric.Connection, "open", opened)
    target = Target("host", 2222, made_here=made_here)
    with pytest.raises(HubwrightError):
        sessions.run(target, b"", {}, Access(known_hosts=known), lambda _: None)
    (client,) = clients
    if made_here:
        client._policy.missing_host_key(client, "[host]:2222", KEY)
    else:
        with pytest.raises(UnknownHostKey):
            client._policy.missing_host_key(client, "[host]:2222", KEY)


@pytest.mark.parametrize(
    ("entered", "error", "what"),
    [
        (True, "encountered RSA key, expected OPENSSH key", "me is not let in"),
        (False, "Error reading SSH protocol banner", "does not answer"),
    ],
)
def test_the_last_words_about_a_key_are_not_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entered: bool, error: str, what: str
) -> None:
    def refuse(connection: fabric.Connection) -> None:
        connection.client._transport = SimpleNamespace(
            is_active=lambda: True,
            initial_kex_done=entered,
            is_authenticated=lambda: False,
            close=lambda: None,
        )
        raise paramiko.SSHException(error)

    monkeypatch.setattr(fabric.Connection, "open", refuse)
    with pytest.raises(HubwrightError, match=what):
        enter(TARGET, Access(known_hosts=tmp_path / "none"))
