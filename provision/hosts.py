"""SSH, through Fabric: one connection and one exec a run. Only fabfile.py knows Fabric beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import queue
import re
import shlex
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from provision.bundle import LOADER
from provision.errors import HubwrightError, SettingsError

if TYPE_CHECKING:
    import fabric
    import paramiko

CONNECT_TIMEOUT = 15.0  # seconds
OWN_TIMEOUT = 120.0  # the same for a machine of this computer, which may be emulated and busy
KEEPALIVE = 15  # seconds
CHUNK = 1 << 18
MAX_PORT = 65535
SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")

# What ends a connection is told once and in our words; without a handler it comes with a traceback as well.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

ENTERED = json.dumps({"event": "entered"})

Event = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A host to deploy on. `vouched`: this machine has just made it, so its key needs no second opinion."""

    host: str
    port: int | None = None
    user: str | None = None
    identity: Path | None = None
    vouched: bool = False

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host

    @classmethod
    def parse(cls, text: str, identity: Path | None = None) -> Target:
        """From `host`, `user@host` or `user@host:port`, as ssh and Fabric write them."""
        match = re.fullmatch(r"(?:([^@\s]+)@)?(\[[0-9a-fA-F:]+\]|[^@:\s]+)(?::(\d{1,5}))?", text)
        if match is None:
            raise SettingsError(f"{text!r} names no host", hint="write user@host or user@host:port")
        port = int(match[3]) if match[3] else None
        if port is not None and not 1 <= port <= MAX_PORT:
            raise SettingsError(f"{text!r}: there is no port {port}", hint="ports go from 1 to 65535")
        return cls(match[2].strip("[]"), port, match[1], identity)


class Lines:
    """The connections that are open or being opened, so that somebody else can hang up on all of them."""

    def __init__(self) -> None:
        self.closed = False
        self._open: list[fabric.Connection] = []
        self._lock = threading.Lock()

    def add(self, connection: fabric.Connection) -> None:
        with self._lock:
            self._open.append(connection)

    def end(self, connection: fabric.Connection) -> None:
        with self._lock:
            self._open.remove(connection)
        _hang_up(connection)

    def close(self) -> None:
        """Hang up everywhere. What is only just being opened ends as soon as it is."""
        with self._lock:
            self.closed = True
            connections = list(self._open)
        for connection in connections:
            _hang_up(connection)


@dataclass(frozen=True)
class Access:
    """How the operator wants to get in."""

    accept_new_host_key: bool = False
    sudo_password: str | None = field(default=None, repr=False)
    known_hosts: Path = field(
        default_factory=lambda: Path(
            os.environ.get("HUBWRIGHT_KNOWN_HOSTS", "~/.ssh/known_hosts")
        ).expanduser()
    )
    lines: Lines = field(default_factory=Lines, repr=False, compare=False)


Blob = Path | bytes


def run(
    target: Target,
    bundle: bytes,
    blobs: Mapping[str, Blob],
    access: Access,
    handle: Callable[[Event], None],
) -> None:
    """Send the bundle to the host, hand every event to `handle`, and feed it the blobs that it asks for.

    Raises HubwrightError when the host cannot be reached or entered, or the line breaks.
    """
    with _connected(target, access, handle) as connection:
        _converse(target, connection, bundle, blobs, access, handle)


def shell_command(with_password: bool, line: str | None = None) -> str:
    """What the host's shell is asked to do. It says in the agent's own words what is missing there.

    Root runs `line`, announced by the event `entered`, or the loader when there is none.

    The password is the first line of standard input: the shell's own `read` takes just that line, and its
    own `printf` hands it on, so it stands in no argument list. It is tried once before the run itself.
    The bundle has to wait for the event `entered`: a sudo may swallow more than its line (sudo-rs does).
    """

    def say(what: str, hint: str) -> str:
        event = json.dumps({"event": "error", "what": what, "hint": hint})
        return f"{{ echo {shlex.quote(event)}; exit 0; }}"

    python = f"python3 -c {shlex.quote(LOADER)}"
    entered = f"echo {shlex.quote(ENTERED)}; {f'exec {python}' if line is None else line}"
    program = f"sh -c {shlex.quote(entered)}" if with_password or line is not None else python
    no_python = say("python3 is not installed there", "on the host: apt-get install python3")
    no_sudo = say("the login user is not root and there is no sudo", "log in as root, or install sudo")
    not_allowed = say("the login user may not use sudo", "log in as root, or add the user to the group sudo")
    wrong = say("sudo refused the password", "type it again, or log in as another user")
    wanted = say(
        "sudo wants a password for the login user",
        "run again with --ask-sudo-password, or allow it in sudoers",
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


@contextmanager
def _connected(
    target: Target, access: Access, handle: Callable[[Event], None]
) -> Iterator[fabric.Connection]:
    """The host's connection while the block runs. Raises HubwrightError when there is no way in."""
    connection = _described(target)
    access.lines.add(connection)
    try:
        _open(connection, target, access, handle)
        if access.lines.closed:
            raise HubwrightError("stopped before it was connected", where=target.name)
        yield connection
    finally:
        access.lines.end(connection)


def _described(target: Target) -> fabric.Connection:
    """What ssh's configuration and the target say of the way to the host; it is not gone yet."""
    import fabric
    import paramiko

    # A machine of this computer is where it was made, whatever is configured for hosts.
    config = fabric.Config(ssh_config=paramiko.SSHConfig()) if target.vouched else None
    patience = OWN_TIMEOUT if target.vouched else CONNECT_TIMEOUT
    waiting = {"banner_timeout": patience, "auth_timeout": patience, "transport_factory": _transport}
    options: dict[str, Any] = dict(waiting)
    if target.identity is not None:
        options |= {"key_filename": str(target.identity), "look_for_keys": False, "allow_agent": False}
    try:
        connection = fabric.Connection(
            target.host, user=target.user, port=target.port, config=config, connect_kwargs=options
        )
        jumps = connection.ssh_config.get("proxyjump", "").split(",")
        if jumps[0].lower() == "none":
            connection.gateway = None
        elif len(jumps) > 1:  # ssh passes them from the first to the last, Fabric the other way round
            way = None
            for jump in jumps:
                way = fabric.Connection(jump, config=connection.config.clone(), gateway=way)
            connection.gateway = way
    except (paramiko.SSHException, OSError, LookupError, ValueError) as error:
        raise HubwrightError(
            f"ssh's configuration cannot be used: {error}",
            where=target.name,
            hint=f"mend ~/.ssh/config or /etc/ssh/ssh_config; `ssh -G {target.host}` reads them too",
        ) from None
    for hop in _hops(connection):
        hop.connect_timeout = hop.connect_timeout or int(patience)
        hop.connect_kwargs = {**hop.connect_kwargs, **waiting}
    return connection


def _open(
    connection: fabric.Connection, target: Target, access: Access, handle: Callable[[Event], None]
) -> None:
    for hop in _hops(connection):
        where = target.name
        if hop is not connection:
            where += f": its jump host {hop.original_host}"
        # Fabric alone would accept any key, on the way there too.
        if target.vouched:
            hop.client.set_missing_host_key_policy(_vouched_policy())
        else:
            for known in (SYSTEM_KNOWN_HOSTS, access.known_hosts):
                _reading(known, hop.client.load_system_host_keys)
            hop.client.set_missing_host_key_policy(_known_only_policy(where, access, handle))
        _enter(hop, where, is_target=hop is connection)
        hop.transport.set_keepalive(KEEPALIVE)
        if isinstance(hop.transport.sock, socket.socket):  # not through a jump host
            # Small events and small answers: waiting for more to send costs 40 ms each.
            hop.transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _hops(connection: fabric.Connection) -> list[fabric.Connection]:
    """The jump hosts of ssh's configuration in the order in which they are passed, then the host itself."""
    gateway = connection.gateway
    return [*([] if gateway is None or isinstance(gateway, str) else _hops(gateway)), connection]


def _hang_up(connection: fabric.Connection) -> None:
    for hop in reversed(_hops(connection)):
        hop.client.close()  # Fabric's own close() passes over what is only just being opened


def _enter(hop: fabric.Connection, where: str, *, is_target: bool) -> None:
    import paramiko
    from paramiko.ssh_exception import NoValidConnectionsError

    try:
        hop.open()
    except paramiko.BadHostKeyException as error:
        raise HubwrightError(
            f"the host's key has changed: it is {fingerprint(error.key)}, "
            f"known is {fingerprint(error.expected_key)}",
            where=where,
            hint=f"find out why; if it was set up anew: ssh-keygen -R '{_known_as(hop.host, hop.port)}'",
        ) from None
    except paramiko.AuthenticationException:
        key = "the key with -i FILE" if is_target else "its key in ssh's configuration or your agent"
        raise HubwrightError(
            f"{hop.user} is not let in: no key or password that the host accepts",
            where=where,
            hint=f"check the user, and {key}; `ssh -v` shows what was tried",
        ) from None
    except NoValidConnectionsError as error:
        reason = next(iter(error.errors.values()), error)
        raise HubwrightError(
            f"cannot connect: {getattr(reason, 'strerror', None) or reason}",
            where=where,
            hint="is it on, is its sshd running, and is the port right?",
        ) from None
    except UnicodeDecodeError:
        raise HubwrightError(
            "a key of ssh's configuration, or one in ~/.ssh, is no private key",
            where=where,
            hint="`ssh -v` shows which ones are tried; name the right one with -i FILE",
        ) from None
    except (socket.gaierror, UnicodeError):  # the latter when it cannot even be a name
        raise HubwrightError(
            "no such host", where=where, hint="check the spelling, or use an address"
        ) from None
    except (TimeoutError, OSError, EOFError, paramiko.SSHException) as error:
        hint = "is it on, and does a firewall let SSH through?"
        if isinstance(hop.gateway, str):
            hint = f"try the ProxyCommand of ssh's configuration: {hop.gateway}"
        said = error.text if isinstance(error, paramiko.ChannelException) else str(error)
        what = f"does not answer: {said or type(error).__name__}"
        raise HubwrightError(what, where=where, hint=hint) from None


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    """With AES-GCM before AES-CTR and its HMAC: a large input takes either side a third of the work."""
    import paramiko

    transport = paramiko.Transport(sock, **options)
    security = transport.get_security_options()
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "-gcm@" not in name))
    return transport


def _known_as(host: str, port: int | None) -> str:
    """A host's name in known_hosts, see sshd(8)."""
    return host if port in (None, 22) else f"[{host}]:{port}"


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
            event = _event(line)
            if event is None:
                continue
            if event["event"] == "entered":
                sender.send(bundle)
            elif event["event"] == "need":
                sender.send_blob(event["blob"])
            else:
                handle(event)
                if event["event"] in ("end", "error"):
                    ended = True
                    break  # what hands sudo its input waits for more of it as long as the line is open
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise _broken(target, error) from None
    finally:
        sender.stop()
    if not ended:
        tail = "\n".join([*_complaint(channel).splitlines()[-8:], sender.failure]).strip()
        raise HubwrightError(
            f"the run ended without a result\n{tail}".rstrip(),
            where=target.name,
            hint="run this again: it goes on where it stopped",
        )


def _session(target: Target, connection: fabric.Connection, line: str) -> paramiko.Channel:
    """A channel to what the host's shell makes of the line."""
    import paramiko

    try:
        channel: paramiko.Channel = connection.transport.open_session()
        channel.exec_command(line)
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise _broken(target, error) from None
    return channel


def _event(line: bytes) -> Event | None:
    """What a line says, or nothing: login shells greet in any form and encoding."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _broken(target: Target, error: Exception | None = None) -> HubwrightError:
    reason = f": {str(error) or type(error).__name__}" if error is not None else ""
    return HubwrightError(
        f"the connection broke{reason}",
        where=target.name,
        hint="run this again: it goes on where it stopped",
    )


def _complaint(channel: paramiko.Channel) -> str:
    said: bytes = channel.makefile_stderr("rb").read()
    return said.decode(errors="replace").strip()


class _Sender:
    """Sends in the background, in order, so that events are read while a large blob is on its way."""

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
        while (job := self._jobs.get()) is not None:
            try:
                if isinstance(job, bytes):
                    self._channel.sendall(job)
                else:
                    self._stream(job)
            except OSError as error:
                # Either the line is broken, or an input cannot be read any more: the run cannot go on.
                self.failure = str(error)
                self._channel.close()
                return

    def _stream(self, digest: str) -> None:
        blob = self._blobs[digest]
        if isinstance(blob, bytes):
            self._channel.sendall(_blob_header(digest, len(blob)) + blob)
            return
        with blob.open("rb") as file:
            self._channel.sendall(_blob_header(digest, blob.stat().st_size))
            _copy(file, self._channel)


def _blob_header(digest: str, size: int) -> bytes:
    return json.dumps({"blob": digest, "size": size}).encode() + b"\n"


def _copy(file: IO[bytes], channel: paramiko.Channel) -> None:
    while chunk := file.read(CHUNK):
        channel.sendall(chunk)


def require_key(path: Path) -> None:
    """Raises SettingsError unless a private key can be read from the file."""
    import paramiko

    public = f"name the private key: -i {path.with_suffix('')}" if path.suffix == ".pub" else ""
    for kind in (paramiko.RSAKey, paramiko.ECDSAKey, paramiko.Ed25519Key):
        try:
            kind.from_private_key_file(str(path))
        except paramiko.PasswordRequiredException:
            raise SettingsError(
                "the key wants a passphrase",
                where=str(path),
                hint=f"`ssh-add {path}`, then run this again without -i",
            ) from None
        except (paramiko.SSHException, ValueError):
            continue
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise SettingsError(what, where=str(path), hint="-i wants a private key") from None
        return
    raise SettingsError(
        "this is no private key that SSH logs in with",
        where=str(path),
        hint=public or "-i wants a private key, as ssh-keygen makes them",
    )


class UnknownHostKey(HubwrightError):
    """The host shows a key that nobody here has seen before."""


def _vouched_policy() -> paramiko.MissingHostKeyPolicy:
    """For a machine that was made on this computer a moment ago: its first key is its key."""
    import paramiko

    class Vouched(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            pass

    return Vouched()


def _known_only_policy(
    where: str, access: Access, handle: Callable[[Event], None]
) -> paramiko.MissingHostKeyPolicy:
    """Refuse an unknown key, or, when the operator said so, show it and write it down."""
    import paramiko

    class KnownOnly(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ARG002
            if not access.accept_new_host_key:
                raise UnknownHostKey(
                    f"its host key is not known: {fingerprint(key)}",
                    where=where,
                    hint="compare it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
                    "then run again with --accept-new-host-key",
                )
            _note(access, hostname, f"{key.get_name()} {key.get_base64()}")
            handle({"event": "accepted", "key": fingerprint(key), "file": str(access.known_hosts)})

    return KnownOnly()


def _note(access: Access, name: str, key: str) -> None:
    path = access.known_hosts
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            before = b"" if file.read() in (b"", b"\n") else b"\n"  # the last line may have no end
            file.write(before + f"{name} {key}\n".encode())
    except OSError as error:
        raise HubwrightError(
            f"cannot be written: {error.strerror}",
            where=str(path),
            hint="HUBWRIGHT_KNOWN_HOSTS names another file",
        ) from None


def _reading(known: Path, read: Callable[[str], T]) -> T | None:
    """What `read` makes of a file of known hosts, or nothing when it is not there."""
    from paramiko.hostkeys import InvalidHostKey

    try:
        return read(str(known))
    except FileNotFoundError:
        return None
    except InvalidHostKey as error:
        raise HubwrightError(
            f"no key can be read from the line `{error.line[:60]}…`",
            where=str(known),
            hint="mend that line or remove it",
        ) from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "it is no text"
        raise HubwrightError(
            f"cannot be read: {reason}",
            where=str(known),
            hint="put known host keys there, one a line, see sshd(8)",
        ) from None


def note_host_key(target: Target, public: str, access: Access) -> None:
    """Know the host by its public key (`type base64`), before it is even there.

    Raises HubwrightError when it is known by another key of that kind.
    """
    from paramiko.hostkeys import HostKeys

    name = _known_as(target.host, target.port)
    known = _reading(access.known_hosts, HostKeys) or HostKeys()
    kind, _, key = public.partition(" ")
    keys = known.lookup(name)
    present = keys.get(kind) if keys is not None else None
    if present is None:
        _note(access, name, public)
    elif present.get_base64() != key:
        raise HubwrightError(
            f"another key of {name} is known: {fingerprint(present)}",
            where=str(access.known_hosts),
            hint=f"if that host is gone: ssh-keygen -f '{access.known_hosts}' -R '{name}'",
        )


def fingerprint(key: paramiko.PKey) -> str:
    """As OpenSSH shows it: type and SHA256 in unpadded base64."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def command(target: Target, access: Access, line: str, show: Callable[[str], None] | None = None) -> str:
    """Standard output of a shell command that root runs on the host; `show` gets each line as it comes.

    Raises HubwrightError when it ends with another exit code than 0.
    """
    password = access.sudo_password
    with _connected(target, access, lambda _: None) as connection:
        channel = _session(target, connection, shell_command(password is not None, line))
        try:
            if password is not None:
                channel.sendall(f"{password}\n".encode())
            channel.shutdown_write()  # a sudo that asks again, or a program that reads, would wait
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
            elif event := _event(said):
                if event["event"] == "error":
                    raise HubwrightError(event["what"], where=target.name, hint=event["hint"])
                entered = event["event"] == "entered"
        code = channel.recv_exit_status()
        if code == -1:
            raise _broken(target)
        if not entered:
            raise HubwrightError(
                _complaint(channel) or "the login user's shell did not do what it was asked to",
                where=target.name,
                hint="give the user a shell such as /bin/sh, and a key without a forced command",
            )
        if code != 0:
            raise HubwrightError(
                _complaint(channel) or f"`{line[:60]}` failed",
                where=target.name,
                hint=f"`hubwright plan -H {target.name}` says what is missing there",
            )
        return "".join(lines)


def _said(target: Target, channel: paramiko.Channel) -> Iterator[bytes]:
    """The lines of its standard output."""
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
