"""Manifest and agent as one byte string. To run it, a host needs nothing but python3."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from provision.agent.events import Mode
from provision.agent.resources import Resource
from provision.settings import Settings, download_environment
from provision.ssh.loader import START
from provision.tools.project import AGENT

STATE = "/var/lib/hubwright"


@dataclass(frozen=True)
class RoleSteps:
    """A role of the manifest: its resources in order, and the roles that must be applied before."""

    name: str
    needs: tuple[str, ...]
    resources: tuple[Resource, ...]


@dataclass(frozen=True)
class PlacedFile:
    """A file that is put on a machine."""

    path: str
    content: bytes
    mode: int = 0o644


def manifest(
    settings: Settings,
    roles: Iterable[RoleSteps],
    *,
    mode: Mode,
    complete: bool = True,
    unattended: Mapping[str, Any] | None = None,
    files: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The agent's task.

    `complete`: everything that was applied to the host and is in none of `roles` is removed.
    `unattended`: the run has no driver, see agent/unattended.py.
    `files`: the files that a generalized machine needs for its first boot, see agent/generalize.py.
    """
    return {
        **({"unattended": unattended} if unattended else {}),
        **({"files": list(files)} if mode == "generalize" else {}),
        "mode": mode,
        "state": STATE,
        "complete": complete,
        "options": {"apt_lock_wait": settings.deploy.apt_lock_wait},
        "environment": download_environment.environment(settings),
        "roles": [
            {"name": role.name, "needs": role.needs, "resources": [r.to_json() for r in role.resources]}
            for role in roles
        ],
    }


def pack(content: Mapping[str, Any]) -> bytes:
    """START, then the agent and the manifest, each after a line with its size in bytes."""
    text = json.dumps(content, sort_keys=True).encode()
    code = agent_code()
    return b"".join([START, b"%d\n" % len(code), code, b"%d\n" % len(text), text])


@cache
def agent_code() -> bytes:
    """The agent's package as a zip, the same bytes for the same sources."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(AGENT.rglob("*.py")):
            name = f"agent/{path.relative_to(AGENT).as_posix()}"
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
