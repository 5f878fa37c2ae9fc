"""Runs and `hubwright verify` believe the same host keys: Hubwright's reader beside OpenSSH's.

A server of the test's own, in place of a machine, shows its keys and then lets no one in: how far a client
gets says which keys it believed.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provision.deploy.verify import _ssh_config
from provision.errors import HubwrightError
from provision.ssh import Access, Target, sessions

ECDSA, RSA = paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)
OTHER = paramiko.ECDSAKey.generate()


class RefuseEveryone(paramiko.ServerInterface):
    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return "publickey"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of the server on 127.0.0.1, which has an ECDSA key and an RSA key."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
                transport = paramiko.Transport(connection)
                transport.add_server_key(ECDSA)
                transport.add_server_key(RSA)
                transport.start_server(server=RefuseEveryone(), event=threading.Event())

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("identity") / "id"
    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.write_bytes(private)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("lines", "believed"),
    [
        ("", False),
        ("NAME ECDSA", True),
        ("NAME\tECDSA of 2026", True),
        ("NAME RSA", True),
        ("HASHED ECDSA", True),
        ("other,NAME ECDSA", True),
        ("[127.*]:* ECDSA", True),
        ("!127.0.0.1,!NAME,* ECDSA", False),
        ("127.0.0.1 ECDSA", True),
        ("NAME OTHER", False),
        ("127.0.0.1 OTHER", False),
        ("NAME OTHER\nNAME ECDSA", True),
        ("NAME ECDSA\n@revoked * ECDSA", False),
        ("NAME ECDSA\n@revoked HASHED ECDSA", False),
        ("@revoked * RSA\nNAME ECDSA", True),
        ("@revoked * OTHER\nNAME ECDSA", True),
        ("@cert-authority * ECDSA", False),
        ("@cert-authority * OTHER\nNAME ECDSA", True),
        ("other ssh-ed25519 damaged\n# NAME\nNAME ECDSA", True),
    ],
)
def test_both_believe_the_same_keys(
    tmp_path: Path, port: int, identity: Path, lines: str, believed: bool
) -> None:
    name = f"[127.0.0.1]:{port}"
    for word, key in (("ECDSA", ECDSA), ("RSA", RSA), ("OTHER", OTHER)):
        lines = lines.replace(word, f"{key.get_name()} {key.get_base64()}")
    lines = lines.replace("NAME", name).replace("HASHED", paramiko.HostKeys.hash_host(name))
    known = tmp_path / "known_hosts"
    known.write_text(f"{lines}\n")
    target, access = Target("127.0.0.1", port, "me", identity), Access(known_hosts=known)

    with pytest.raises(HubwrightError) as caught:
        sessions.run(target, b"", {}, access, lambda _: None)
    assert ("me is not let in" in str(caught.value)) is believed, caught.value

    config = tmp_path / "config"
    config.write_text(_ssh_config([target], access, tmp_path))
    argv = ["ssh", "-F", str(config), "host0", "true"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ("Permission denied" in done.stderr) is believed, done.stderr
    assert ("Host key verification failed" in done.stderr) is not believed, done.stderr
