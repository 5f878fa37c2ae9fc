"""The files that make a machine a hub without a driver: the agent's bundle, and units that start it at boot.

The bundle is the one that goes over SSH. See agent/unattended.py for the additions to its manifest.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.agent.first_boot import FOLDER, KEYS_UNIT_FILE, PER_BOOT, UNIT_FILE
from provision.deploy.bundle import PlacedFile, RoleSteps, manifest, pack
from provision.settings import Settings
from provision.ssh.loader import LOADER

HERE = Path(__file__).parent
SECRETS = f"{FOLDER}/secrets.json"
BUNDLE = f"{FOLDER}/bundle.xz"
MIN_DICTIONARY = 4096  # bytes, the smallest that xz takes


@dataclass(frozen=True)
class Bundle:
    """`content` may be published: all that roles mark as secret is in `secrets` only."""

    content: bytes
    secrets: Mapping[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def bundle(settings: Settings, roles: Iterable[RoleSteps], places: Mapping[str, str]) -> Bundle:
    """The bundle, compressed. `places`: digest of each large input → its path on the machine, or its URL."""
    given: dict[str, Any] = {"blobs": dict(places), "secrets": SECRETS, "withheld": []}
    told = manifest(settings, roles, mode="apply", unattended=given)
    secrets = {}
    for resource in (resource for role in told["roles"] for resource in role["resources"]):
        if resource.get("secret"):  # a file of any kind
            id_ = f"file:{resource['path']}"
            secrets[id_], resource["content"] = resource["content"], ""
    given["withheld"] = sorted(secrets)
    secrets["environment"] = json.dumps(told["environment"])  # it may hold the proxy's credentials
    told["environment"] = {}
    return Bundle(compressed(pack(told)), secrets)


def compressed(content: bytes) -> bytes:
    """As small as xz makes it. A dictionary as large as the content finds all that a larger one would, with
    a fraction of the memory that the preset takes.
    """
    dictionary = max(MIN_DICTIONARY, len(content))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
    return lzma.compress(content, filters=filters)


def files(made: Bundle, *, url: str = "", trusted: Iterable[str] = ()) -> list[PlacedFile]:
    """The files for the machine beside the large inputs; with the bundle unless it is fetched from `url`.

    `trusted`: certificates (PEM) that `url` may need before the machine has been given them.
    """
    told = {
        "loader": LOADER,
        "sha256": made.digest,
        "size": len(made.content),
        "url": url,
        "trusted": "".join(trusted) if url.startswith("https:") else "",
    }
    return [
        PlacedFile(f"{FOLDER}/begin.py", _text("begin.py")),
        PlacedFile(f"{FOLDER}/first-boot.json", json.dumps(told).encode()),
        PlacedFile(SECRETS, json.dumps(dict(made.secrets)).encode(), 0o600),
        PlacedFile(UNIT_FILE, _text("hubwright-first-boot.service")),
        *([] if url else [PlacedFile(BUNDLE, made.content)]),
    ]


def per_boot() -> PlacedFile:
    """The script by which cloud-init starts the run at each boot, and reports its end."""
    return PlacedFile(PER_BOOT, _text("per-boot"), 0o755)


def host_keys_unit() -> PlacedFile:
    """The unit that makes SSH host keys, for images of machines: a copy has none."""
    return PlacedFile(KEYS_UNIT_FILE, _text("hubwright-host-keys.service"))


def _text(name: str) -> bytes:
    return (HERE / name).read_bytes()
