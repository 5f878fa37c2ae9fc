"""How hosts are named, entered and talked to; the other end of the line is a fake."""

from __future__ import annotations

import base64
import hashlib
import json
import re
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


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_no_ports(port: str) -> None:
    with pytest.raises(SettingsError, match=f"'host:{port}': there is no port {port}") as caught:
        Target.parse(f"host:{port}")
    assert "1 to 65535" in caught.value.hint


# --- what the host's shell is asked to do ---------------------------------------------------------


@pytest.mark.parametrize("with_password", [False, True])
def test_the_shell_says_in_events_what_is_missing(with_password: bool) -> None:
    command = shell_command(with_password)
    assert command.count('"entered"') == (2 if with_password else 0), "as root, and through sudo"
    echoed = re.findall(r"echo '(\{.*?\})'", command)
    said = [event for event in map(json.loads, echoed) if event != {"event": "entered"}]
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


@pytest.mark.parametrize("with_password", [False, True])
def test_a_line_of_the_shell_s_own_is_announced_whoever_runs_it(with_password: bool) -> None:
    command = shell_command(with_password, "journalctl 'a b'")
    assert command.count('{"event": "entered"}') == 2, "as root, and through sudo"
    assert "python3" not in command


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
    return hosts._known_only_policy(TARGET.name, access, events.append)


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


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("other ssh-rsa AAAA", "other ssh-rsa AAAA\n"), ("other x y\n", "other x y\n")],
)
def test_a_key_is_noted_on_a_line_of_its_own(tmp_path: Path, before: str, after: str) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(before)
    hosts._note(Access(known_hosts=known), "host", "kind key")
    assert known.read_text() == f"{after}host kind key\n"


def test_a_key_that_cannot_be_noted(tmp_path: Path) -> None:
    with pytest.raises(HubwrightError, match=f"{tmp_path}: cannot be written: Is a directory") as caught:
        hosts._note(Access(known_hosts=tmp_path), "host", "kind key")
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
            hosts.run(TARGET, b"", {}, access, lambda _: None)
        assert str(caught.value).startswith(f"{known}: {what}")
        assert caught.value.hint


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
        hosts.require_key(keys / name)
    assert str(caught.value).startswith(f"{keys / name}: {what}")
    assert hint.format(folder=keys) in caught.value.hint


def test_a_private_key_will_do(keys: Path) -> None:
    hosts.require_key(keys / "id")


# --- ssh's configuration --------------------------------------------------------------------------

Configured = Callable[[str], None]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    """Writes the operator's ~/.ssh/config."""

    def write(text: str) -> None:
        (tmp_path / ".ssh").mkdir(exist_ok=True)
        (tmp_path / ".ssh" / "config").write_text(text)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(hosts, "SYSTEM_KNOWN_HOSTS", tmp_path / "none")
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
    with hosts._connected(target, access, lambda _: None):
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
    assert all(hop.connect_kwargs["banner_timeout"] == hosts.CONNECT_TIMEOUT for hop in opened)


def test_a_jump_host_s_unknown_key_is_refused_like_any_other(
    configured: Configured, opened: list[fabric.Connection], tmp_path: Path
) -> None:
    configured(JUMPS.format(jumps="front"))
    known = tmp_path / "known"
    known.write_text(f"[front.example]:2200 {KEY.get_name()} {KEY.get_base64()}\n")
    enter(Target("inside"), Access(known_hosts=known))
    jump, _ = opened
    assert jump.client._system_host_keys.check("[front.example]:2200", KEY)
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
    enter(Target("127.0.0.1", 2222, "me", vouched=True), Access())
    (machine,) = opened
    assert (machine.host, machine.connect_timeout) == ("127.0.0.1", hosts.OWN_TIMEOUT)


# --- hanging up -----------------------------------------------------------------------------------


def test_whoever_interrupts_hangs_up_on_all(configured: Configured, opened: list[fabric.Connection]) -> None:
    configured(JUMPS.format(jumps="front"))
    access, closed = Access(), []
    with hosts._connected(Target("inside"), access, lambda _: None):
        for hop in opened:
            hop.client.close = lambda hop=hop: closed.append(hop.host)
        access.lines.close()
        assert closed == ["inside.example", "front.example"]
    with pytest.raises(HubwrightError, match="other: stopped"):
        enter(Target("other"), access)


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


Step = str | int | bytes | Exception


class Line:
    """A channel to a host that follows a script: words it says, and numbers of bytes it waits for."""

    def __init__(self, *script: Step, stderr: str = "", code: int = 0) -> None:
        self.script = script
        self.stderr = stderr
        self.code = code
        self.ended = False
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

    def shutdown_write(self) -> None:
        self.ended = True

    def makefile(self, mode: str) -> Iterator[bytes]:
        assert mode == "rb", "what a login shell says may be no UTF-8"
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, int):
                self._wait(step)
                if self.closed.is_set():
                    return
            else:
                yield (step if isinstance(step, bytes) else step.encode()) + b"\n"

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
        return self.code


Connected = Callable[[Any], list[str]]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Connected:
    """The next connection has this line; the list says when it is hung up."""

    def to(line: Any) -> list[str]:
        closed: list[str] = []
        connection = SimpleNamespace(
            transport=SimpleNamespace(open_session=lambda: line),
            client=SimpleNamespace(close=lambda: closed.append("closed")),
            gateway=None,
        )
        monkeypatch.setattr(hosts, "_described", lambda _: connection)
        monkeypatch.setattr(hosts, "_open", lambda *_: None)
        return closed

    return to


Converse = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def converse(connected: Connected) -> Converse:
    def run(line: Line, blobs: Any = None, password: str | None = None) -> list[dict[str, Any]]:
        closed = connected(line)
        events: list[dict[str, Any]] = []
        try:
            hosts.run(TARGET, b"BUNDLE", blobs or {}, Access(sudo_password=password), events.append)
        finally:
            assert closed == ["closed"]
        return events

    return run


def event(kind: str, **data: Any) -> str:
    return json.dumps({"event": kind, **data})


def test_events_are_handed_on_in_order_and_noise_is_not(converse: Converse) -> None:
    noise: list[str | bytes] = [
        "Welcome to host!",
        "{ welcome }",
        b"Gr\xfc\xdf Gott",
        '{"but": "no event"}',
        "{}",
        "[1]",
        "",
    ]
    line = Line(6, *noise, event("hello", os="Debian"), "", event("end", count={}))
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


def test_no_session_is_a_broken_connection(connected: Connected) -> None:
    def refuse(_: str) -> None:
        raise paramiko.ChannelException(1, "Administratively prohibited")

    connected(SimpleNamespace(exec_command=refuse))
    with pytest.raises(HubwrightError, match=r"host:2222: the connection broke: .*prohibited"):
        hosts.run(TARGET, b"", {}, Access(), lambda _: None)


# --- commands -------------------------------------------------------------------------------------

GREETING: list[str | bytes] = [b"Gr\xfc\xdf Gott", "{ welcome }"]


def test_a_command_s_output_is_what_comes_after_the_shell_s_own(connected: Connected) -> None:
    seen: list[str] = []
    line = Line(*GREETING, event("entered"), "one", event("no event"), b"tw\xf6")
    closed = connected(line)
    said = hosts.command(TARGET, Access(), "x", seen.append)
    assert seen == ["one", event("no event"), "tw\ufffd"]
    assert said == "".join(f"{text}\n" for text in seen)
    assert (line.sent, line.ended, closed) == (b"", True, ["closed"])


def test_a_command_s_password_is_all_that_its_input_has(connected: Connected) -> None:
    """A sudo that did not like it would wait for another one."""
    line = Line(event("entered"), "ok")
    connected(line)
    hosts.command(TARGET, Access(sudo_password=HIDDEN), "x 'y'")
    assert HIDDEN not in line.command
    assert (line.sent, line.ended) == (f"{HIDDEN}\n".encode(), True)


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        (Line(event("entered"), stderr="no such unit\n", code=1), "no such unit", "hubwright plan"),
        (Line(event("entered"), code=1), "`journalctl` failed", "hubwright plan"),
        (Line(event("entered"), "half", code=-1), "the connection broke", "run this again"),
        (Line(event("entered"), OSError("gone")), "the connection broke: gone", "run this again"),
        (Line("This account is closed."), "the login user's shell did not do", "forced command"),
        (
            Line(*GREETING, event("error", what="sudo refused the password", hint="type it again")),
            "sudo refused the password",
            "type it again",
        ),
    ],
)
def test_a_command_that_fails(connected: Connected, line: Line, what: str, hint: str) -> None:
    connected(line)
    with pytest.raises(HubwrightError) as caught:
        hosts.command(TARGET, Access(sudo_password=HIDDEN), "journalctl")
    assert str(caught.value).startswith(f"host:2222: {what}")
    assert hint in caught.value.hint
