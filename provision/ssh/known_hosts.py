"""Host keys: which are known, what is refused, and how one is noted."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from provision.agent.events import Accepted, Event
from provision.errors import HubwrightError

from .targets import Access, Target

if TYPE_CHECKING:
    import paramiko

SYSTEM = Path("/etc/ssh/ssh_known_hosts")

T = TypeVar("T")


def known_as(host: str, port: int | None) -> str:
    """A host's name in known_hosts, see sshd(8)."""
    return host if port in (None, 22) else f"[{host}]:{port}"


class UnknownHostKey(HubwrightError):
    """The host shows a key that nobody here has seen before."""


def vouched_policy() -> paramiko.MissingHostKeyPolicy:
    """For a machine that was made on this computer a moment ago: its first key is its key."""
    import paramiko

    class Vouched(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            pass

    return Vouched()


def known_only_policy(
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
            note(access, hostname, f"{key.get_name()} {key.get_base64()}")
            handle(Accepted(fingerprint(key), str(access.known_hosts)))

    return KnownOnly()


def note(access: Access, name: str, key: str) -> None:
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


def reading(known: Path, read: Callable[[str], T]) -> T | None:
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

    name = known_as(target.host, target.port)
    known = reading(access.known_hosts, HostKeys) or HostKeys()
    kind, _, key = public.partition(" ")
    keys = known.lookup(name)
    present = keys.get(kind) if keys is not None else None
    if present is None:
        note(access, name, public)
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
