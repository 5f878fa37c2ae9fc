"""Sessions over a connection: a run of the agent with its events and large inputs, or a command."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from provision.agent.events import BlobHeader, End, Entered, Error, Event, Left, Need, Reached, parse
from provision.errors import HubwrightError

from .connections import MACHINE_CONNECT_TIMEOUT, connected
from .entry import GUARD, explain, not_reached, shell_command, tail
from .targets import Access, Target

if TYPE_CHECKING:
    import fabric
    import paramiko

CHUNK = 1 << 18
SHELL_TIMEOUT = 30.0  # seconds for a login shell and its start-up files

Blob = Path | bytes


def run(
    target: Target,
    bundle: bytes,
    blobs: Mapping[str, Blob],
    access: Access,
    handle: Callable[[Event], None],
) -> None:
    """Send the bundle to the host, hand every event to `handle`, and feed it the blobs that it asks for.

    Raises HubwrightError when the host cannot be reached or entered, or the connection breaks.
    """
    with connected(target, access, handle) as connection:
        _converse(target, connection, bundle, blobs, access, handle)


def command(target: Target, access: Access, line: str, show: Callable[[str], None] | None = None) -> str:
    """Standard output of a shell command that root runs on the host; `show` gets each line at once.

    Raises HubwrightError when it ends with another exit code than 0.
    """
    password = access.sudo_password
    with connected(target, access, lambda _: None) as connection:
        channel = _session(target, connection, shell_command(password is not None, line))
        try:
            if password is not None:
                channel.sendall(GUARD + f"{password}\n".encode())
            channel.shutdown_write()  # else a sudo that asks again, or a program that reads, would wait
        except (OSError, EOFError) as error:
            raise _broken(target, error) from None
        shell = _Shell(target, channel, with_password=password is not None)
        lines = []
        entered = False
        for said in shell.lines():
            if entered:
                text = said.decode(errors="replace")
                lines.append(text)
                if show is not None:
                    show(text.rstrip("\n"))
            elif event := shell.parse(said):
                if isinstance(event, Error):
                    raise HubwrightError(event.what, where=target.name, hint=event.hint)
                entered = isinstance(event, Entered)
        code = channel.recv_exit_status()
        if code == -1:
            raise _broken(target)
        complaint = shell.complaint()
        if not entered:
            raise shell.refusal(complaint, code) or _no_result(target, complaint)
        if code != 0:
            raise HubwrightError(
                complaint or f"`{line[:60]}` failed",
                where=target.name,
                hint="correct what the message names; `hubwright plan` shows what else differs from hub.toml",
            )
        return "".join(lines)


class _Shell:
    """The output of the login user's shell until our script runs, and that of sudo after it."""

    def __init__(self, target: Target, channel: paramiko.Channel, *, with_password: bool) -> None:
        self.target = target
        self.channel = channel
        self.with_password = with_password
        self.reached = False
        self.root = False
        self._greeting: deque[str] = deque(maxlen=20)

    def lines(self) -> Iterator[bytes]:
        """The lines of standard output.

        Raises HubwrightError when the connection breaks, or none of them is ours for long.
        """
        import paramiko

        limit = MACHINE_CONNECT_TIMEOUT if self.target.made_here else SHELL_TIMEOUT
        self.channel.settimeout(limit)
        lines = iter(self.channel.makefile("rb"))
        while True:
            try:
                line = next(lines)
            except StopIteration:
                return
            except (OSError, EOFError, paramiko.SSHException) as error:
                if isinstance(error, TimeoutError) and not self.reached:
                    words = "\n".join(["", *self._greeting])
                    raise HubwrightError(
                        f"the login user's shell does not run the command in {limit:.0f} s{words.rstrip()}",
                        where=self.target.name,
                        hint=f"see what `ssh {self.target.host} true` waits for: often a start-up file that "
                        "asks something, or starts another shell where there is no terminal",
                    ) from None
                raise _broken(self.target, error) from None
            yield line

    def parse(self, line: bytes) -> Event | None:
        """The event in a line; a line without one is kept, as the shell's own words."""
        event = parse(line)
        if event is None:
            if not self.reached:
                self._greeting.append(line.decode(errors="replace"))
        elif not self.reached:
            self.reached = True
            self.channel.settimeout(None)
        if event is not None and not isinstance(event, (Left, Reached)):
            self.root = True
        return event

    def complaint(self) -> str:
        said: bytes = self.channel.makefile_stderr("rb").read()
        return said.decode(errors="replace").strip()

    def refusal(self, complaint: str, code: int) -> HubwrightError | None:
        """The known reason for which the script did not become root; None without one."""
        if not self.reached:
            return not_reached("\n".join([*self._greeting, complaint]), code, self.target.name)
        if self.root:
            return None
        return explain(complaint, self.target.name, with_password=self.with_password)


def _converse(
    target: Target,
    connection: fabric.Connection,
    bundle: bytes,
    blobs: Mapping[str, Blob],
    access: Access,
    handle: Callable[[Event], None],
) -> None:
    password = access.sudo_password
    channel = _session(target, connection, shell_command(password is not None))
    shell = _Shell(target, channel, with_password=password is not None)
    sender = _Sender(channel, blobs)
    try:
        sender.send(GUARD + (bundle if password is None else f"{password}\n".encode()))
        for line in shell.lines():
            event = shell.parse(line)
            if event is None or isinstance(event, Reached):
                continue
            if isinstance(event, Entered):
                sender.send(bundle)
            elif isinstance(event, Left):
                _end_input(channel)
            elif isinstance(event, Need):
                sender.send_blob(event.blob)
            else:
                handle(event)
                if isinstance(event, (End, Error)):
                    return  # the `cat` that feeds sudo waits for more input as long as the channel is open
    finally:
        sender.stop()
    complaint = shell.complaint()
    code = channel.recv_exit_status()
    if code == -1 and not sender.failure and not connection.transport.is_active():
        raise _broken(
            target
        )  # without a word, as after a power cut; a program that was killed leaves the rest
    raise shell.refusal(complaint, code) or _no_result(target, complaint, sender.failure)


def _end_input(channel: paramiko.Channel) -> None:
    import paramiko

    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # the other side may have gone
        channel.shutdown_write()


def _no_result(target: Target, complaint: str, failure: str = "") -> HubwrightError:
    """The error for a run that has ended without saying so: in the words of what ended it."""
    if words := "\n".join([tail(complaint), failure]).strip():
        hint = "correct what the lines above name before the next run"
    else:
        hint = (
            "something on the host ended it: `journalctl -k` there names a process that memory was taken from"
        )
    return HubwrightError(f"the run ended without a result\n{words}".rstrip(), where=target.name, hint=hint)


def _session(target: Target, connection: fabric.Connection, line: str) -> paramiko.Channel:
    """A channel on which the host's shell runs the line."""
    import paramiko

    try:
        channel: paramiko.Channel = connection.transport.open_session()
        channel.exec_command(line)
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise _broken(target, error) from None
    return channel


def _broken(target: Target, error: Exception | None = None) -> HubwrightError:
    reason = f": {str(error) or type(error).__name__}" if error is not None else ""
    return HubwrightError(
        f"the connection broke{reason}",
        where=target.name,
        hint="repeat the command once the host answers again: an apply goes on where it stopped",
    )


class _Sender:
    """A sender in the background, so that events are read while a large blob is on its way. In order."""

    def __init__(self, channel: paramiko.Channel, blobs: Mapping[str, Blob]) -> None:
        self._channel = channel
        self._blobs = blobs
        self._jobs: queue.Queue[bytes | str | None] = queue.Queue()
        self.failure = ""
        threading.Thread(target=self._work, daemon=True).start()

    def send(self, data: bytes) -> None:
        self._jobs.put(data)

    def send_blob(self, digest: str) -> None:
        self._jobs.put(digest)

    def stop(self) -> None:
        self._jobs.put(None)

    def _work(self) -> None:
        import paramiko

        while (job := self._jobs.get()) is not None:
            try:
                if isinstance(job, bytes):
                    self._channel.sendall(job)
                else:
                    self._stream(job)
            except (OSError, EOFError, paramiko.SSHException) as error:
                # The connection is broken, or an input cannot be read any more: the run cannot go on.
                # A host without python3 or sudo hangs up before it has read all of it.
                self.failure = str(error)
                with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                    self._channel.close()
                return

    def _stream(self, digest: str) -> None:
        blob = self._blobs[digest]
        if isinstance(blob, bytes):
            self._channel.sendall(BlobHeader(digest, len(blob)).line() + blob)
            return
        with blob.open("rb") as file:
            self._channel.sendall(BlobHeader(digest, blob.stat().st_size).line())
            _copy(file, self._channel)


def _copy(file: IO[bytes], channel: paramiko.Channel) -> None:
    while chunk := file.read(CHUNK):
        channel.sendall(chunk)
