"""Host keys: the known ones, the refused ones, and the noting of new ones.

The files are read as sshd(8) describes them and OpenSSH reads them, which paramiko's own reader does not:
`@revoked` is honoured, patterns and several keys of one type count, and a damaged line stops only the host
that it names. `@cert-authority` is passed over: paramiko asks no host for a certificate.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.agent.events import Accepted, Event
from provision.errors import HubwrightError

from .targets import Access, Target

if TYPE_CHECKING:
    import paramiko

SYSTEM = Path("/etc/ssh/ssh_known_hosts")
REVOKED, AUTHORITY = "@revoked", "@cert-authority"


def known_as(host: str, port: int | None) -> str:
    """A host's name in known_hosts, see sshd(8)."""
    return host if port in (None, 22) else f"[{host}]:{port}"


class UnknownHostKey(HubwrightError):
    """The host shows a key that no file of known hosts has."""


@dataclass(frozen=True)
class Files:
    """The files of known hosts that count for one host. New keys are noted in `noted`."""

    read: tuple[Path, ...]
    noted: Path


def files(access: Access, configured: Mapping[str, str]) -> Files:
    """The files that ssh's configuration names for a host, or else the usual ones.

    HUBWRIGHT_KNOWN_HOSTS goes before UserKnownHostsFile.
    """
    host = configured.get("hostname", "")
    system = _paths(configured.get("globalknownhostsfile", ""), host)
    own = _paths(configured.get("userknownhostsfile", ""), host) if access.usual_known_hosts else ()
    if not own:
        own = (access.known_hosts,)
        if access.usual_known_hosts:
            own += (access.known_hosts.with_name("known_hosts2"),)
    return Files((*(system or (SYSTEM, SYSTEM.with_name(f"{SYSTEM.name}2"))), *own), own[0])


def _paths(value: str, host: str) -> tuple[Path, ...]:
    """The paths of a value in ssh_config(5), with the tokens that matter for files of a person."""
    tokens = {"%%": "%", "%d": str(Path.home()), "%h": host}
    try:
        words = shlex.split(value)
    except ValueError:  # a quote that does not end
        words = value.split()
    paths = [re.sub("%.", lambda token: tokens.get(token[0], token[0]), word) for word in words]
    return tuple(Path(os.devnull if path == "none" else path).expanduser() for path in paths)


@dataclass(frozen=True)
class Line:
    """A line of a file of known hosts. `key` is empty when it cannot be read; `where` is file:number."""

    where: str
    marker: str
    names: str
    kind: str
    key: bytes

    def is_of(self, name: str) -> bool:
        """True when the line names the host: by name, pattern or hash. A negated pattern excludes it."""
        found = False
        for pattern in self.names.split(","):
            if _matches(pattern.removeprefix("!"), name.lower()):
                if pattern.startswith("!"):
                    return False
                found = True
        return found


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in pattern[3:].split("|"))
        except ValueError:
            return False
        return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)
    wanted = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wanted, name) is not None


def parse(text: str, path: Path) -> Iterator[Line]:
    """The lines of a file of known hosts, comments left out."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        names, kind, key, *_ = [*fields, "", "", ""]
        yield Line(f"{path}:{number}", marker, names, kind, _decoded(kind, key))


def _decoded(kind: str, key: str) -> bytes:
    """The key's bytes; none when they are damaged, or of another type than the line says."""
    try:
        data = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return b""
    size = int.from_bytes(data[:4], "big")
    return data if len(data) > size + 4 and data[4 : 4 + size] == kind.encode() else b""


@dataclass(frozen=True)
class Known:
    """The lines that name one host.

    `plain`: those that name it without its port. As for OpenSSH, they count where no line has the port.
    """

    name: str
    lines: tuple[Line, ...]
    plain: tuple[Line, ...] = ()

    @property
    def keys(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if not line.marker)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of the keys that are known: the host is asked for one of these first."""
        return tuple(dict.fromkeys(line.kind for line in self.keys or self.plain if not line.marker))

    def refuse_revoked(self, kind: str, key: bytes, where: str) -> None:
        """Raise HubwrightError when a line revokes the key."""
        for line in (*self.lines, *self.plain):
            if line.marker == REVOKED and line.key == key:
                raise HubwrightError(
                    f"its host key is revoked: {kind} {digest_of(key)} ({line.where})",
                    where=where,
                    hint="do not go there with this key; the host needs a new one (ssh-keygen -A), "
                    "or that line is wrong",
                )

    def check(self, kind: str, key: bytes, where: str) -> bool:
        """True when the key is known. Raises HubwrightError when it is revoked, or only others are known."""
        self.refuse_revoked(kind, key, where)
        if not self.keys:
            return any(line.key == key and not line.marker for line in self.plain)
        if any(line.key == key for line in self.keys):
            return True
        other = next((line for line in self.keys if line.kind == kind), self.keys[0])
        file = other.where.rpartition(":")[0]
        raise HubwrightError(
            f"the host's key has changed: it is {kind} {digest_of(key)}, "
            f"known is {other.kind} {digest_of(other.key)} ({other.where})",
            where=where,
            hint=f"find out why; if the host was installed again: ssh-keygen -f '{file}' -R '{self.name}'",
        )


def known(name: str, paths: Iterable[Path]) -> Known:
    """The lines of the files that name a host.

    Raises HubwrightError when a file, or a line that names the host, cannot be read.
    """
    with_port = re.fullmatch(r"\[(.*)\]:\d+", name)
    exact, plain = [], []
    for path in paths:
        for line in parse(_text(path), path):
            if line.marker not in ("", REVOKED) or line.kind.isdigit():
                continue
            if line.is_of(name):
                exact.append(line)
            elif with_port and line.is_of(with_port[1]):
                plain.append(line)
    for line in exact + plain:
        if not line.key:
            raise HubwrightError(
                f"no key can be read from this line of {name}",
                where=line.where,
                hint="correct that line or remove it; see sshd(8) for the form",
            )
    return Known(name, tuple(exact), tuple(plain))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise HubwrightError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            hint="put known host keys there, one a line, see sshd(8); GlobalKnownHostsFile and "
            "UserKnownHostsFile of ssh's configuration name other files",
        ) from None


def made_here_policy() -> paramiko.MissingHostKeyPolicy:
    """The policy for a machine that this computer made a moment ago: its first key is accepted."""
    import paramiko

    class MadeHere(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            pass

    return MadeHere()


def known_only_policy(
    where: str, names: Files, access: Access, handle: Callable[[Event], None], alias: str = ""
) -> paramiko.MissingHostKeyPolicy:
    """The policy for all other hosts: refuse an unknown key, or show and note it if the operator said so.

    `alias`: the host's name in known_hosts, if it is not the address (HostKeyAlias).
    paramiko is told of no known keys, so that it asks this policy about every key.
    """
    import paramiko

    class KnownOnly(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:  # noqa: ARG002
            known_name = alias or hostname
            if known(known_name, names.read).check(key.get_name(), key.asbytes(), where):
                return
            if not access.accept_new_host_key:
                raise UnknownHostKey(
                    f"its host key is not known: {fingerprint(key)}",
                    where=where,
                    hint="compare it with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
                    "then repeat the command with --accept-new-host-key",
                )
            note(names.noted, known_name, f"{key.get_name()} {key.get_base64()}")
            handle(Accepted(fingerprint(key), str(names.noted)))

    return KnownOnly()


def note(path: Path, name: str, key: str) -> None:
    """Add a line to a file of known hosts."""
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


def note_host_key(target: Target, public: str, access: Access) -> None:
    """Note a host's public key (`type base64`) before the host exists.

    Raises HubwrightError when it is known by another key of that kind, or the key is revoked.
    """
    name = known_as(target.host, target.port)
    kind, _, text = public.partition(" ")
    key = base64.b64decode(text.split()[0])
    found = known(name, [access.known_hosts])
    found.refuse_revoked(kind, key, name)
    alike = [line for line in found.keys if line.kind == kind]
    if not alike:
        note(access.known_hosts, name, public)
    elif all(line.key != key for line in alike):
        raise HubwrightError(
            f"another key of {name} is known: {kind} {digest_of(alike[0].key)}",
            where=alike[0].where,
            hint=f"if that host is gone: ssh-keygen -f '{access.known_hosts}' -R '{name}'",
        )


def fingerprint(key: paramiko.PKey) -> str:
    """A key as OpenSSH shows it: type and SHA256 in unpadded base64."""
    return f"{key.get_name()} {digest_of(key.asbytes())}"


def digest_of(key: bytes) -> str:
    return f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"
