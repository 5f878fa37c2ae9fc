"""The conversation with a host; its end of the line is a fake."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from provision.agent.events import End, Error, Event, Hello
from provision.errors import HubwrightError
from provision.ssh import Access, Target, connections, sessions
from provision.ssh.entry import EXIT_OF_GUARD, GUARD

HIDDEN = "correct-horse-battery"
KEY = paramiko.ECDSAKey.generate()
OTHER_KEY = paramiko.ECDSAKey.generate()
TARGET = Target("host", 2222, "me")


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
        self.timeouts: list[float | None] = []
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

    def settimeout(self, seconds: float | None) -> None:
        self.timeouts.append(seconds)

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
            transport=SimpleNamespace(
                open_session=lambda: line, is_active=lambda: getattr(line, "code", 0) != -1
            ),
            client=SimpleNamespace(close=lambda: closed.append("closed")),
            gateway=None,
        )
        monkeypatch.setattr(connections, "_described", lambda _: connection)
        monkeypatch.setattr(connections, "_open", lambda *_: None)
        return closed

    return to


Converse = Callable[..., list[Event]]


@pytest.fixture
def converse(connected: Connected) -> Converse:
    def run(line: Line, blobs: Any = None, password: str | None = None) -> list[Event]:
        closed = connected(line)
        events: list[Event] = []
        try:
            sessions.run(TARGET, b"BUNDLE", blobs or {}, Access(sudo_password=password), events.append)
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
    assert events == [Hello("Debian"), End()]
    assert line.sent == GUARD + b"BUNDLE"


def test_a_password_goes_first_and_on_standard_input_only(converse: Converse) -> None:
    first = GUARD + f"{HIDDEN}\n".encode()
    line = Line(len(first), event("entered"), len(first) + 6, event("end", count={}))
    events = converse(line, password=HIDDEN)
    assert events == [End()]
    assert line.sent == first + b"BUNDLE"
    assert HIDDEN not in line.command


def test_nothing_follows_a_password_until_sudo_has_let_in(converse: Converse) -> None:
    line = Line(len(GUARD) + len(HIDDEN) + 1, event("error", what="sudo refused the password", hint=""))
    converse(line, password=HIDDEN)
    assert line.sent == GUARD + f"{HIDDEN}\n".encode()


def test_blobs_are_sent_when_they_are_asked_for(converse: Converse, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"y" * (3 * sessions.CHUNK + 1))
    headers = [b'{"blob": "b", "size": 786433}\n', b'{"blob": "a", "size": 3}\n']
    whole = GUARD + b"BUNDLE" + headers[0] + b"y" * 786433 + headers[1] + b"xyz"
    line = Line(event("need", blob="b"), event("need", blob="a"), len(whole), event("end", count={}))
    events = converse(line, {"a": b"xyz", "b": large, "c": b"never asked for"})
    assert events == [End()]
    assert line.sent == whole


def test_a_blob_that_cannot_be_read_ends_the_run(converse: Converse, tmp_path: Path) -> None:
    with pytest.raises(HubwrightError, match=r"No such file or directory: .*gone"):
        converse(Line(event("need", blob="a"), 10**6), {"a": tmp_path / "gone"})


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        (
            Line(6, event("hello"), stderr="a\nb\nTraceback: boom"),
            "the run ended without a result\na\nb\nTraceback: boom",
            "correct what the lines above name",
        ),
        (Line(6, event("hello")), "the run ended without a result", "journalctl -k"),
        (
            Line(event("reached"), stderr="sudo: a password is required", code=1),
            "sudo wants a password for the login user\nsudo: a password is required",
            "--ask-sudo-password",
        ),
        (
            Line(event("reached"), stderr="sudo: something new", code=1),
            "the run ended without a result\nsudo: something new",
            "correct what the lines above name",
        ),
        (
            Line("This account is closed.", code=1),
            "the login user's shell did not run the command:\nThis account is closed.",
            "forced command",
        ),
        (
            Line(code=7),
            "the login user's shell did not run the command:\nit ended with exit code 7, without a word",
            "start-up files",
        ),
        (
            Line("HUBWRIGHT: not found", code=EXIT_OF_GUARD),
            "a start-up file of the login user starts another shell, which takes what is sent for commands",
            "in terminals only",
        ),
        (
            Line("Which project?", TimeoutError()),
            "the login user's shell does not run the command in 30 s\nWhich project?",
            "`ssh host true`",
        ),
    ],
)
def test_a_run_without_an_end_is_told_in_the_words_of_what_ended_it(
    converse: Converse, line: Line, what: str, hint: str
) -> None:
    with pytest.raises(HubwrightError) as caught:
        converse(line)
    assert str(caught.value) == f"host:2222: {what}"
    assert hint in caught.value.hint
    assert "goes on where it stopped" not in caught.value.hint, "it would stop there once more"


def test_a_sudo_that_ends_without_a_result_is_not_waited_for(converse: Converse) -> None:
    """The shell's `cat` would read on for as long as the channel is open."""
    line = Line(event("reached"), event("left"), stderr="user ada is not allowed to execute it", code=1)
    with pytest.raises(HubwrightError, match="for some commands only"):
        converse(line, password=HIDDEN)
    assert line.ended


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("Socket is closed"), "Socket is closed"),
        (EOFError(), "EOFError"),
        (paramiko.SSHException("x"), "x"),
    ],
)
def test_a_broken_connection_is_no_fault_of_the_host_s(
    converse: Converse, error: Exception, said: str
) -> None:
    with pytest.raises(HubwrightError) as caught:
        converse(Line(6, event("hello"), error))
    assert str(caught.value) == f"host:2222: the connection broke: {said}"
    assert "once the host answers" in caught.value.hint


def test_a_host_that_goes_without_a_word_is_a_broken_connection(converse: Converse) -> None:
    with pytest.raises(HubwrightError, match="the connection broke"):
        converse(Line(6, event("hello"), code=-1))


def test_only_the_login_shell_s_first_word_has_a_time_limit(converse: Converse) -> None:
    line = Line("Welcome", event("reached"), event("hello"), event("end", count={}))
    assert converse(line) == [Hello(), End()]
    assert line.timeouts == [sessions.SHELL_TIMEOUT, None]


def test_an_error_event_is_an_end(converse: Converse) -> None:
    assert converse(Line(6, event("error", what="x", hint="y"))) == [Error("x", "y")]


def test_no_session_is_a_broken_connection(connected: Connected) -> None:
    def refuse(_: str) -> None:
        raise paramiko.ChannelException(1, "Administratively prohibited")

    connected(SimpleNamespace(exec_command=refuse))
    with pytest.raises(HubwrightError, match=r"host:2222: the connection broke: .*prohibited"):
        sessions.run(TARGET, b"", {}, Access(), lambda _: None)


# --- commands -------------------------------------------------------------------------------------

GREETING: list[str | bytes] = [b"Gr\xfc\xdf Gott", "{ welcome }"]


def test_a_command_s_output_is_what_comes_after_the_shell_s_own(connected: Connected) -> None:
    seen: list[str] = []
    line = Line(*GREETING, event("entered"), "one", event("no event"), b"tw\xf6")
    closed = connected(line)
    said = sessions.command(TARGET, Access(), "x", seen.append)
    assert seen == ["one", event("no event"), "tw\ufffd"]
    assert said == "".join(f"{text}\n" for text in seen)
    assert (line.sent, line.ended, closed) == (b"", True, ["closed"])


def test_a_command_s_password_is_all_that_its_input_has(connected: Connected) -> None:
    """A sudo that did not like it would wait for another one."""
    line = Line(event("entered"), "ok")
    connected(line)
    sessions.command(TARGET, Access(sudo_password=HIDDEN), "x 'y'")
    assert HIDDEN not in line.command
    assert (line.sent, line.ended) == (GUARD + f"{HIDDEN}\n".encode(), True)


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        (
            Line(event("entered"), stderr="no such unit\n", code=1),
            "no such unit",
            "correct what the message names",
        ),
        (Line(event("entered"), code=1), "`journalctl` failed", "hubwright plan"),
        (Line(event("entered"), "half", code=-1), "the connection broke", "repeat the command"),
        (Line(event("entered"), OSError("gone")), "the connection broke: gone", "repeat the command"),
        (Line("This account is closed."), "the login user's shell did not run", "forced command"),
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
        sessions.command(TARGET, Access(sudo_password=HIDDEN), "journalctl")
    assert str(caught.value).startswith(f"host:2222: {what}")
    assert hint in caught.value.hint


@pytest.mark.parametrize("error", [OSError("Socket is closed"), EOFError(), paramiko.SSHException("gone")])
def test_a_host_that_hangs_up_while_it_is_sent_something_is_no_fault_of_a_thread(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As one without python3 or sudo does: the reason is in what it said, and no traceback beside it."""
    faults: list[Any] = []
    ended = threading.Event()
    monkeypatch.setattr(threading, "excepthook", faults.append)

    def fail(*_: Any) -> None:
        raise error

    def close() -> None:
        ended.set()
        raise error

    before = set(threading.enumerate())
    sender = sessions._Sender(SimpleNamespace(sendall=fail, close=close), {})  # type: ignore[arg-type]
    sender.send(b"bundle")
    assert ended.wait(10)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert (faults, sender.failure) == ([], str(error))
