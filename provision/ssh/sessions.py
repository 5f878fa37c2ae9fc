"""Sessions over a connection: a run of the agent with its events and large inputs, or a command."""

from __future__ import annotations

import contextlib
import queue
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from provision.agent.events import BlobHeader, End, Entered, Error, Event, Need, parse
from provision.errors import HubwrightError
from provision.ssh.loader import LOADER

from .connections import connected
from .targets import Access, Target

if TYPE_CHECKING:
    import fabric
    import paramiko

CHUNK = 1 << 18

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


def shell_command(with_password: bool, line: str | None = None) -> str:
    """The command for the host's shell. It reports missing programs and rights as events of the agent.

    Root runs `line`, announced by the event `entered`, or the loader when there is none.

    The password is the first line of standard input: the shell's own `read` takes just that line, and its
    own `printf` hands it on, so it is in no argument list. It is tried once before the run itself.
    The bundle has to wait for the event `entered`: a sudo may read more than its line (sudo-rs does).
    """

    def say(what: str, hint: str) -> str:
        return f"{{ echo {shlex.quote(Error(what, hint).line())}; exit 0; }}"

    python = f"python3 -c {shlex.quote(LOADER)}"
    entered = f"echo {shlex.quote(Entered().line())}; {f'exec {python}' if line is None else line}"
    program = f"sh -c {shlex.quote(entered)}" if with_password or line is not None else python
    no_python = say("python3 is not installed there", "on the host: apt-get install python3")
    no_sudo = say("the login user is not root and there is no sudo", "log in as root, or install sudo")
    not_allowed = say("the login user may not use sudo", "log in as root, or add the user to the group sudo")
    wrong = say("sudo refused the password", "type it again, or log in as another user")
    wanted = say(
        "sudo wants a password for the login user",
        "repeat the command with --ask-sudo-password, or allow it in sudoers",
    )
    lines = [
        *(["export LC_ALL=C"] if line is None else []),
        "echo",  # a greeting may have left its line without an end
        *(["IFS= read -r word"] if with_password else []),
        *([f"command -v python3 >/dev/null || {no_python}"] if line is None else []),
        f'[ "$(id -u)" != 0 ] || exec {program}',
        f"command -v sudo >/dev/null || {no_sudo}",
    ]
    if with_password:
        tried = "said=$(printf '%s\\n' \"$word\" | LC_ALL=C sudo -S -p '' -v 2>&1)"
        reason = f'case "$said" in *sudoers*|*"may not"*) {not_allowed};; *) {wrong};; esac'
        lines += [
            f"{tried} || {reason}",
            f"{{ printf '%s\\n' \"$word\"; cat; }} | sudo -S -p '' -- {program}",
        ]
    else:
        lines += [f"sudo -n true 2>/dev/null || {wanted}", f"exec sudo -n -- {program}"]
    return "\n".join(lines)


def command(target: Target, access: Access, line: str, show: Callable[[str], None] | None = None) -> str:
    """Standard output of a shell command that root runs on the host; `show` gets each line at once.

    Raises HubwrightError when it ends with another exit code than 0.
    """
    password = access.sudo_password
    with connected(target, access, lambda _: None) as connection:
        channel = _session(target, connection, shell_command(password is not None, line))
        try:
            if password is not None:
                channel.sendall(f"{password}\n".encode())
            channel.shutdown_write()  # else a sudo that asks again, or a program that reads, would wait
        except (OSError, EOFError) as error:
            raise _broken(target, error) from None
        lines = []
        entered = False
        for said in _said(target, channel):
            if entered:
                text = said.decode(errors="replace")
                lines.append(text)
                if show is not None:
                    show(text.rstrip("\n"))
            elif event := parse(said):
                if isinstance(event, Error):
                    raise HubwrightError(event.what, where=target.name, hint=event.hint)
                entered = isinstance(event, Entered)
        code = channel.recv_exit_status()
        if code == -1:
            raise _broken(target)
        if not entered:
            raise HubwrightError(
                _complaint(channel) or "the login user's shell did not run the command",
                where=target.name,
                hint="give the user a shell such as /bin/sh, and a key without a forced command",
            )
        if code != 0:
            raise HubwrightError(
                _complaint(channel) or f"`{line[:60]}` failed",
                where=target.name,
                hint="correct what the message names; `hubwright plan` shows what else differs from hub.toml",
            )
        return "".join(lines)


def _said(target: Target, channel: paramiko.Channel) -> Iterator[bytes]:
    """The lines of a channel's standard output."""
    import paramiko

    lines = iter(channel.makefile("rb"))
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise _broken(target, error) from None
        yield line


def _converse(
    target: Target,
    connection: fabric.Connection,
    bundle: bytes,
    blobs: Mapping[str, Blob],
    access: Access,
    handle: Callable[[Event], None],
) -> None:
    import paramiko

    password = access.sudo_password
    channel = _session(target, connection, shell_command(password is not None))
    sender = _Sender(channel, blobs)
    ended = False
    try:
        sender.send(bundle if password is None else f"{password}\n".encode())
        for line in channel.makefile("rb"):
            event = parse(line)
            if event is None:
                continue
            if isinstance(event, Entered):
                sender.send(bundle)
            elif isinstance(event, Need):
                sender.send_blob(event.blob)
            else:
                handle(event)
                if isinstance(event, (End, Error)):
                    ended = True
                    break  # the `cat` that feeds sudo waits for more input as long as the channel is open
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise _broken(target, error) from None
    finally:
        sender.stop()
    if not ended:
        tail = "\n".join([*_complaint(channel).splitlines()[-8:], sender.failure]).strip()
        raise HubwrightError(
            f"the run ended without a result\n{tail}".rstrip(),
            where=target.name,
            hint=f"correct what {'the lines above name' if tail else 'ended it (`dmesg` on the host)'}, then "
            "repeat the command: an apply goes on where it stopped",
        )


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


def _complaint(channel: paramiko.Channel) -> str:
    said: bytes = channel.makefile_stderr("rb").read()
    return said.decode(errors="replace").strip()


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
