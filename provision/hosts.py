"""SSH, through Fabric: one connection and one exec a run. Only fabfile.py knows Fabric beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import queue
import re
import shlex
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from provision.bundle import LOADER
from provision.errors import HubwrightError, SettingsError

if TYPE_CHECKING:
    import fabric
    import paramiko

CONNECT_TIMEOUT = 15.0  # seconds
OWN_TIMEOUT = 120.0  # the same for a machine of this computer, which may be emulated and busy
KEEPALIVE = 15  # seconds
CHUNK = 1 << 18
SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")

Event = dict[str, Any]


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
        return cls(match[2].strip("[]"), port, match[1], identity)


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
    connection = _connect(target, access, handle)
    try:
        _converse(target, connection, bundle, blobs, access, handle)
    finally:
        connection.close()


def shell_command(with_password: bool) -> str:
    """What the host's shell is asked to do. It says in the agent's own words what is missing there.

    The password is the first line of standard input: the shell's own `read` takes just that line, and its
    own `printf` hands it on, so it stands in no argument list. It is tried once before the run itself.
    The bundle has to wait for the event `entered`: a sudo may swallow more than its line (sudo-rs does).
    """

    def say(what: str, hint: str) -> str:
        event = json.dumps({"event": "error", "what": what, "hint": hint})
        return f"{{ echo {shlex.quote(event)}; exit 0; }}"

    python = f"python3 -c {shlex.quote(LOADER)}"
    entered = f"echo {shlex.quote(json.dumps({'event': 'entered'}))}; exec {python}"
    as_root = f"{{ {entered}; }}" if with_password else f"exec {python}"
    no_python = say("python3 is not installed there", "on the host: apt-get install python3")
    no_sudo = say("the login user is not root and there is no sudo", "log in as root, or install sudo")
    not_allowed = say("the login user may not use sudo", "log in as root, or add the user to the group sudo")
    wrong = say("sudo refused the password", "type it again, or log in as another user")
    wanted = say(
        "sudo wants a password for the login user",
        "run again with --ask-sudo-password, or allow it in sudoers",
    )
    lines = [
        "export LC_ALL=C",
        *(["IFS= read -r word"] if with_password else []),
        f"command -v python3 >/dev/null || {no_python}",
        f'[ "$(id -u)" != 0 ] || {as_root}',
        f"command -v sudo >/dev/null || {no_sudo}",
    ]
    if with_password:
        tried = "said=$(printf '%s\\n' \"$word\" | sudo -S -p '' -v 2>&1)"
        reason = f'case "$said" in *sudoers*|*"may not"*) {not_allowed};; *) {wrong};; esac'
        lines += [
            f"{tried} || {reason}",
            f"{{ printf '%s\\n' \"$word\"; cat; }} | sudo -S -p '' -- sh -c {shlex.quote(entered)}",
        ]
    else:
        lines += [f"sudo -n true 2>/dev/null || {wanted}", f"exec sudo -n -- {python}"]
    return "\n".join(lines)


def _connect(target: Target, access: Access, handle: Callable[[Event], None]) -> fabric.Connection:
    import fabric
    import paramiko
    from paramiko.ssh_exception import NoValidConnectionsError

    patience = OWN_TIMEOUT if target.vouched else CONNECT_TIMEOUT
    options: dict[str, Any] = {"timeout": patience, "banner_timeout": patience, "auth_timeout": patience}
    options["transport_factory"] = _transport
    if target.identity is not None:
        options |= {"key_filename": str(target.identity), "look_for_keys": False, "allow_agent": False}
    connection = fabric.Connection(target.host, user=target.user, port=target.port, connect_kwargs=options)
    client = connection.client
    if target.vouched:
        client.set_missing_host_key_policy(_vouched_policy())
    else:
        for known in (SYSTEM_KNOWN_HOSTS, access.known_hosts):
            if known.exists():
                client.load_system_host_keys(str(known))
        client.set_missing_host_key_policy(_known_only_policy(target, access, handle))
    name = target.name
    try:
        connection.open()
    except paramiko.BadHostKeyException as error:
        raise HubwrightError(
            f"the host's key has changed: it is {fingerprint(error.key)}, "
            f"known is {fingerprint(error.expected_key)}",
            where=name,
            hint=f"find out why; if it was set up anew: ssh-keygen -R '{_known_as(target)}'",
        ) from None
    except paramiko.AuthenticationException:
        raise HubwrightError(
            f"{connection.user} is not let in: no key or password that the host accepts",
            where=name,
            hint="check the user, and the key with -i FILE; `ssh -v` shows what was tried",
        ) from None
    except NoValidConnectionsError as error:
        reason = next(iter(error.errors.values()), error)
        raise HubwrightError(
            f"cannot connect: {getattr(reason, 'strerror', None) or reason}",
            where=name,
            hint="is it on, is its sshd running, and is the port right?",
        ) from None
    except socket.gaierror:
        raise HubwrightError(
            "no such host", where=name, hint="check the spelling, or use an address"
        ) from None
    except (TimeoutError, OSError, EOFError, paramiko.SSHException) as error:
        raise HubwrightError(
            f"does not answer: {str(error) or type(error).__name__}",
            where=name,
            hint="is it on, and does a firewall let SSH through?",
        ) from None
    transport = connection.transport
    transport.set_keepalive(KEEPALIVE)
    # Small events and small answers: waiting for more to send costs 40 ms each.
    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    """With AES-GCM before AES-CTR and its HMAC: a large input takes either side a third of the work."""
    import paramiko

    transport = paramiko.Transport(sock, **options)
    security = transport.get_security_options()
    security.ciphers = tuple(sorted(security.ciphers, key=lambda name: "-gcm@" not in name))
    return transport


def _known_as(target: Target) -> str:
    """The host's name in known_hosts, see sshd(8)."""
    return target.host if target.port in (None, 22) else f"[{target.host}]:{target.port}"


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
    channel = connection.transport.open_session()
    sender = _Sender(channel, blobs)
    ended = False
    try:
        channel.exec_command(shell_command(password is not None))
        sender.send(bundle if password is None else f"{password}\n".encode())
        for line in channel.makefile("r"):
            if not line.startswith("{"):
                continue
            event = json.loads(line)
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
        raise HubwrightError(
            f"the connection broke: {str(error) or type(error).__name__}",
            where=target.name,
            hint="run this again: it goes on where it stopped",
        ) from None
    finally:
        sender.stop()
    if not ended:
        said = channel.makefile_stderr("r").read()
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        tail = "\n".join([*text.strip().splitlines()[-8:], sender.failure]).strip()
        raise HubwrightError(
            f"the run ended without a result\n{tail}".rstrip(),
            where=target.name,
            hint="run this again: it goes on where it stopped",
        )


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
    target: Target, access: Access, handle: Callable[[Event], None]
) -> paramiko.MissingHostKeyPolicy:
    """Refuse an unknown key, or, when the operator said so, show it and write it down."""
    import paramiko

    class KnownOnly(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ARG002
            if not access.accept_new_host_key:
                raise UnknownHostKey(
                    f"its host key is not known: {fingerprint(key)}",
                    where=target.name,
                    hint="compare it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
                    "then run again with --accept-new-host-key",
                )
            _note(access, hostname, f"{key.get_name()} {key.get_base64()}")
            handle({"event": "accepted", "key": fingerprint(key), "file": str(access.known_hosts)})

    return KnownOnly()


def _note(access: Access, name: str, key: str) -> None:
    access.known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with access.known_hosts.open("a", encoding="utf-8") as file:
        file.write(f"{name} {key}\n")


def note_host_key(target: Target, public: str, access: Access) -> None:
    """Know the host by its public key (`type base64`), before it is even there.

    Raises HubwrightError when it is known by another key of that kind.
    """
    from paramiko.hostkeys import HostKeys

    name = _known_as(target)
    known = HostKeys(str(access.known_hosts)) if access.known_hosts.exists() else HostKeys()
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
    connection = _connect(target, access, lambda _: None)
    try:
        channel = connection.transport.open_session()
        quoted = shlex.quote(line)
        if access.sudo_password is None:
            channel.exec_command(f'[ "$(id -u)" = 0 ] && exec sh -c {quoted}; exec sudo -n -- sh -c {quoted}')
        else:
            channel.exec_command(f"sudo -S -p '' -- sh -c {quoted}")
            channel.sendall(f"{access.sudo_password}\n".encode())
        lines = []
        for text in channel.makefile("r"):
            lines.append(text)
            if show is not None:
                show(text.rstrip("\n"))
        if channel.recv_exit_status() != 0:
            said = channel.makefile_stderr("r").read()
            text = said.decode(errors="replace") if isinstance(said, bytes) else said
            raise HubwrightError(text.strip() or f"`{line[:60]}` failed", where=target.name)
        return "".join(lines)
    finally:
        connection.close()
