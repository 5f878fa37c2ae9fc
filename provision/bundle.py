"""Manifest and agent as one byte string that a host needs nothing but python3 to run."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from provision.agent.resources import Resource
from provision.settings import Settings
from roles import mirrors

Mode = Literal["plan", "apply", "seal"]

AGENT = Path(__file__).parent / "agent"
STATE = "/var/lib/hubwright"
START = b"HUBWRIGHT\n"

# Runs under `python3 -c` on the host. What sudo may have left on standard input before START is passed
# over; the agent's code lives in an anonymous file, so that nothing of a run stays on the disk.
LOADER = """\
import os, sys
if sys.version_info < (3, 10):
    print('{"event": "error", "what": "python3 is %d.%d; 3.10 is the oldest that works", "hint": "use a newer'
          ' release of the distribution"}' % sys.version_info[:2])
    sys.exit()
source = sys.stdin.buffer
while source.readline() not in (b"HUBWRIGHT\\n", b""):
    pass
size = int(source.readline() or sys.exit("nothing arrived"))
code = os.memfd_create("hubwright")
with open(code, "wb", closefd=False) as file:
    file.write(source.read(size))
sys.path.insert(0, "/proc/self/fd/%d" % code)
sys.dont_write_bytecode = True
from agent.__main__ import start
start(source)
"""


@dataclass(frozen=True)
class RoleSteps:
    """A role of the manifest: its resources in order, and the roles that must have converged before."""

    name: str
    needs: tuple[str, ...]
    resources: tuple[Resource, ...]


def manifest(
    settings: Settings,
    roles: Iterable[RoleSteps],
    *,
    mode: Mode,
    whole: bool = True,
    unattended: Mapping[str, Any] | None = None,
    files: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What the agent is told.

    `whole`: what is applied on the host and in none of `roles` shall go.
    `unattended`: there is no driver at the other end, see agent/unattended.py.
    `files`: what a machine that is sealed shall have for its first boot, see agent/sealing.py.
    """
    return {
        **({"unattended": unattended} if unattended else {}),
        **({"files": list(files)} if mode == "seal" else {}),
        "mode": mode,
        "state": STATE,
        "whole": whole,
        "options": {"apt_lock_wait": settings.deploy.apt_lock_wait},
        "environment": mirrors.environment(settings),
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
