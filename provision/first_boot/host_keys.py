"""SSH host keys that are made before their host."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from provision.errors import SettingsError

KINDS = {Ed25519PrivateKey: "ed25519", EllipticCurvePrivateKey: "ecdsa", RSAPrivateKey: "rsa"}


@dataclass(frozen=True)
class HostKey:
    """`kind` as in the names of sshd's files; `private` in OpenSSH's form; `public`: type and base64."""

    kind: str
    private: str = field(repr=False)
    public: str


def read_or_make(path: Path) -> tuple[HostKey, bool]:
    """The key in a file that `ssh-keygen` or this function wrote, and True when it was made now.

    Raises SettingsError for a file without a key, for a passphrase, and when no key can be made.
    """
    try:
        if not path.exists():
            return _make(path), True
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"can be neither read nor made: {error.strerror}",
            where=str(path),
            hint="name a key that you may read, or a file in a folder where you may write",
        ) from None
    try:
        key = serialization.load_ssh_private_key(content, password=None)
    except (TypeError, ValueError) as error:
        locked = isinstance(error, TypeError) or "password" in str(error).lower()
        raise SettingsError(
            "has a passphrase, and sshd cannot type one" if locked else "holds no private key of OpenSSH's",
            where=str(path),
            hint="name a file that is not there yet: a key is made in it",
        ) from None
    kind = next((name for type_, name in KINDS.items() if isinstance(key, type_)), "")
    if not kind:
        raise SettingsError(
            "holds a kind of key that sshd does not take", where=str(path), hint="make one of type ed25519"
        )
    return HostKey(kind, content.decode("ascii"), _public(key)), False  # type: ignore[arg-type]


def _make(path: Path) -> HostKey:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    made = HostKey("ed25519", private.decode(), _public(key))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(made.private)
    path.with_name(f"{path.name}.pub").write_text(f"{made.public}\n", encoding="ascii")
    return made


def _public(key: Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey) -> str:
    """Type and base64, without a comment."""
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return key.public_key().public_bytes(*form).decode()
