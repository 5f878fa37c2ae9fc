"""Ubuntu's archive at its public address, for networks without a registry that has its images."""

from __future__ import annotations

import hashlib
import subprocess
import urllib.request
from pathlib import Path

ARCHIVE = "http://archive.ubuntu.com/ubuntu"
KEYS = "pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb"
KEYS_SHA256 = "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8"


def builder(suite: str, folder: Path) -> dict[str, str]:
    """The [builder] for the archive. Raises OSError where it does not answer.

    `folder`, which everyone may read, gets the keys that sign the archive: apt runs as a user of its own.
    """
    with urllib.request.urlopen(f"{ARCHIVE}/{KEYS}", timeout=30) as answer:
        content = answer.read()
    assert hashlib.sha256(content).hexdigest() == KEYS_SHA256
    (folder / "keys.deb").write_bytes(content)
    subprocess.run(["dpkg-deb", "--extract", folder / "keys.deb", folder], check=True)
    return {
        "base": "archive",
        "apt": ARCHIVE,
        "security": ARCHIVE,
        "suite": suite,
        "components": "main universe",
        "keyring": str(folder / "usr/share/keyrings/ubuntu-archive-keyring.gpg"),
    }
