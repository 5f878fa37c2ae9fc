"""How hosts are named, entered and talked to; the other end of the line is a fake."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fabric
import paramiko
import pytest
from paramiko.ssh_exception import NoValidConnectionsError

from provision import hosts
from provision.errors import HubwrightError, SettingsError
from provision.hosts import Access, Target, UnknownHostKey, fingerprint, shell_command

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
    assert not target.vouched


@pytest.mark.parametrize(
    "text", ["", "me@", "@host", "host:", "host:ssh", "a b", "me@host:1:2", "a@b@c", "::1"]
)
def test_no_targets(text: str) -> None:
    with pytest.raises(SettingsError, match="names no host"):
        Target.parse(text)


# --- what the host's shell is asked to do ---------------------------------------------------------


@pytest.mark.parametrize("with_password", [False, True])
def test_the_shell_says_in_events_what_is_missing(with_password: bool) -> None:
    command = shell_command(with_password)
    said = [
        json.loads(text.split("'")[1].replace("'\"'\"'", "'"))
        for text in command.split("echo ")[1:]
        if text.startswith("'{")
    ]
    assert command.count('"entered"') == (2 if with_password else 0), "as root, and through sudo"
    said = [event for event in said if event != {"event": "entered"}]
    assert {event["event"] for event in said} == {"error"}
    assert all(event["what"] and event["hint"] for event in said)
    whats = " ".join(event["what"] for event in said)
    assert "python3 is not installed" in whats
    assert "there is no sudo" in whats
    assert ("refused the password" in whats) is with_password
    assert ("wants a password" in whats) is not with_password


def test_a_password_is_read_and_stands_in_no_argument() -> None:
    assert "read -r" in shell_command(True)
    assert "read -r" not in shell_command(False)
    assert "sudo -n" in shell_command(False)
    assert HIDDEN not in repr(Access(sudo_password=HIDDEN))


def test_aes_gcm_is_tried_first_and_nothing_is_left_out() -> None:
    line: Any = SimpleNamespace(settimeout=lambda _: None)
    ours, usual = (
        kind(line).get_security_options().ciphers for kind in (hosts._transport, paramiko.Transport)
    )
    assert "-gcm@" in ours[0]
    assert set(ours) == set(usual)


# --- host keys ------------------------------------------------------------------------------------


def test_a_fingerprint_is_openssh_s() -> None:
    digest = hashlib.sha256(KEY.asbytes()).digest()
    kind, _, shown = fingerprint(KEY).partition(" SHA256:")
    assert kind == "ecdsa-sha2-nistp256"
    assert len(shown) == 43
    assert base64.b64decode(f"{shown}=") == digest


def policy(access: Access, events: list[Any]) -> paramiko.MissingHostKeyPolicy:
    return hosts._known_only_policy(TARGET, access, events.append)


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
    assert events == [{"event": "accepted", "key": fingerprint(KEY), "file": str(known)}]
    noted = paramiko.HostKeys(str(known))
    assert noted.check("[host]:2222", KEY)
    assert not noted.check("[host]:2222", OTHER_KEY)
    assert known.parent.stat().st_mode & 0o777 == 0o700


# --- getting in -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "what", "hint"),
    [
        (
            paramiko.BadHostKeyException("host", KEY, OTHER_KEY),
            "the host's key has changed: it is ecdsa",
            "ssh-keygen -R '[host]:2222'",
        ),
        (paramiko.AuthenticationException("no"), "me is not let in", "-i FILE"),
        (
            NoValidConnectionsError({("host", 2222): ConnectionRefusedError(111, "Connection refused")}),
            "cannot connect: Connection refused",
            "is its sshd running",
        ),
        (socket.gaierror(-2, "Name or service not known"), "no such host", "spelling"),
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
        hosts.run(TARGET, b"", {}, Access(known_hosts=tmp_path / "none"), lambda _: None)
    assert str(caught.value).startswith(f"host:2222: {what}")
    assert hint in caught.value.hint


@pytest.mark.parametrize("vouched", [False, True])
def test_only_a_machine_that_was_made_here_needs_no_known_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vouched: bool
) -> None:
    """Fabric alone would accept any key."""
    known = tmp_path / "known_hosts"
    known.write_text(f"[host]:2222 {OTHER_KEY.get_name()} {OTHER_KEY.get_base64()}\n")
    clients: list[Any] = []

    def opened(connection: fabric.Connection) -> None:
        clients.append(connection.client)
        raise TimeoutError

    monkeypatch.setattr(hosts, "SYSTEM_KNOWN_HOSTS", tmp_path / "none")
    monkeypatch.setattr(fabric.Connection, "open", opened)
    target = Target("host", 2222, vouched=vouched)
    with pytest.raises(HubwrightError):
        hosts.run(target, b"", {}, Access(known_hosts=known), lambda _: None)
    (client,) = clients
    assert bool(client._system_host_keys.lookup("[host]:2222")) is not vouched
    if vouched:
        client._policy.missing_host_key(client, "[host]:2222", KEY)
    else:
        with pytest.raises(UnknownHostKey):
            client._policy.missing_host_key(client, "[host]:2222", KEY)


# --- the conversation -----------------------------------------------------------------------------


class Line:
    """A channel to a host that follows a script: words it says, and numbers of bytes it waits for."""

    def __init__(self, *script: str | int | Exception, stderr: str = "") -> None:
        self.script = script
        self.stderr = stderr
        self.sent = b""
        self.command = ""
        self.closed = threading.Event()
        self._more = threading.Condition()

    def exec_command(self, command: str) -> None:
        self.command = command

    def sendall(self, data: bytes) -> None:
        if self.closed.is_set():
            raise OSError("Socket is closed")
        with self._more:
            self.sent += data
            self._more.notify_all()

    def makefile(self, _: str) -> Iterator[str]:
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, int):
                self._wait(step)
                if self.closed.is_set():
                    return
            else:
                yield step + "\n"

    def _wait(self, size: int) -> None:
        with self._more:
            came = self._more.wait_for(lambda: len(self.sent) >= size or self.closed.is_set(), timeout=10)
        assert came, f"only {len(self.sent)} bytes came"

    def makefile_stderr(self, _: str) -> Any:
        return SimpleNamespace(read=lambda: self.stderr.encode())

    def close(self) -> None:
        self.closed.set()
        with self._more:
            self._more.notify_all()

    def recv_exit_status(self) -> int:
        return 0 if not self.stderr else 1


Converse = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def converse(monkeypatch: pytest.MonkeyPatch) -> Converse:
    def run(line: Line, blobs: Any = None, password: str | None = None) -> list[dict[str, Any]]:
        closed: list[bool] = []
        connection = SimpleNamespace(
            transport=SimpleNamespace(open_session=lambda: line), close=lambda: closed.append(True)
        )
        monkeypatch.setattr(hosts, "_connect", lambda *_: connection)
        events: list[dict[str, Any]] = []
        try:
            hosts.run(TARGET, b"BUNDLE", blobs or {}, Access(sudo_password=password), events.append)
        finally:
            assert closed == [True]
        return events

    return run


def event(kind: str, **data: Any) -> str:
    return json.dumps({"event": kind, **data})


def test_events_are_handed_on_in_order_and_noise_is_not(converse: Converse) -> None:
    line = Line(6, "Welcome to host!", event("hello", os="Debian"), "", event("end", count={}))
    events = converse(line)
    assert events == [{"event": "hello", "os": "Debian"}, {"event": "end", "count": {}}]
    assert line.sent == b"BUNDLE"


def test_a_password_goes_first_and_on_standard_input_only(converse: Converse) -> None:
    first = f"{HIDDEN}\n".encode()
    line = Line(len(first), event("entered"), len(first) + 6, event("end", count={}))
    events = converse(line, password=HIDDEN)
    assert [found["event"] for found in events] == ["end"]
    assert line.sent == first + b"BUNDLE"
    assert HIDDEN not in line.command


def test_nothing_follows_a_password_until_sudo_has_let_in(converse: Converse) -> None:
    line = Line(len(HIDDEN) + 1, event("error", what="sudo refused the password", hint=""))
    converse(line, password=HIDDEN)
    assert line.sent == f"{HIDDEN}\n".encode()


def test_blobs_are_sent_when_they_are_asked_for(converse: Converse, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"y" * (3 * hosts.CHUNK + 1))
    headers = [b'{"blob": "b", "size": 786433}\n', b'{"blob": "a", "size": 3}\n']
    whole = b"BUNDLE" + headers[0] + b"y" * 786433 + headers[1] + b"xyz"
    line = Line(event("need", blob="b"), event("need", blob="a"), len(whole), event("end", count={}))
    events = converse(line, {"a": b"xyz", "b": large, "c": b"never asked for"})
    assert [found["event"] for found in events] == ["end"]
    assert line.sent == whole


def test_a_blob_that_cannot_be_read_ends_the_run(converse: Converse, tmp_path: Path) -> None:
    with pytest.raises(HubwrightError, match=r"No such file or directory: .*gone"):
        converse(Line(event("need", blob="a"), 10**6), {"a": tmp_path / "gone"})


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            Line(6, event("hello"), stderr="a\nb\nTraceback: boom"),
            "the run ended without a result\na\nb\nTraceback: boom",
        ),
        (Line(6), "the run ended without a result"),
        (Line(6, event("hello"), OSError("Socket is closed")), "the connection broke: Socket is closed"),
        (Line(6, EOFError()), "the connection broke: EOFError"),
        (Line(6, paramiko.SSHException("rekey")), "the connection broke: rekey"),
    ],
)
def test_a_run_without_an_end_is_a_failure(converse: Converse, line: Line, what: str) -> None:
    with pytest.raises(HubwrightError) as caught:
        converse(line)
    assert str(caught.value) == f"host:2222: {what}"
    assert "goes on where it stopped" in caught.value.hint


def test_an_error_event_is_an_end(converse: Converse) -> None:
    assert converse(Line(6, event("error", what="x", hint="y")))[0]["what"] == "x"


def test_a_command_s_output_and_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def through(line: Line) -> Any:
        connection = SimpleNamespace(transport=SimpleNamespace(open_session=lambda: line), close=lambda: None)
        monkeypatch.setattr(hosts, "_connect", lambda *_: connection)
        return hosts.command

    seen: list[str] = []
    assert through(Line("one", "two"))(TARGET, Access(), "x", seen.append) == "one\ntwo\n"
    assert seen == ["one", "two"]
    with_password = Line("ok")
    through(with_password)(TARGET, Access(sudo_password=HIDDEN), "x 'y'")
    assert HIDDEN not in with_password.command
    assert with_password.sent == f"{HIDDEN}\n".encode()
    with pytest.raises(HubwrightError, match="host:2222: no such unit"):
        through(Line(stderr="no such unit\n"))(TARGET, Access(), "x")
