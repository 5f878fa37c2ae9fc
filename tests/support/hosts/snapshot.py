"""Describe a host: `snapshot.py PART…`, run on it, prints its state as JSON.

managed: files, units, containers and images that an apply makes
host:    everything that could be there before an apply and should be the same after its removal
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

MANAGED = (
    "/etc/jupyterhub",
    "/etc/docker",
    "/etc/systemd/system",
    "/etc/ssl/certs",
    "/etc/passwd",
    "/etc/group",
    "/opt",
    "/usr/local",
    "/var/lib/hubwright",
    "/var/lib/hubwright-acme",
    "/var/lib/jupyterhub",
)
HOST = ("/etc", "/home", "/opt", "/root", "/srv", "/usr/local", "/var/lib", "/var/spool")
# The hub writes to its database whenever it likes, with a journal that comes and goes beside it.
DATABASE = "/var/lib/jupyterhub/jupyterhub.sqlite"
LIVE = (DATABASE, "/var/lib/jupyterhub")
# The hub writes here when a server ends, and forgets what is too old.
ENDED_SERVERS = "/var/lib/jupyterhub/ended-servers"
UNITS = ()  # those of the table of roles: containers.py puts them here
LARGE = 1 << 20  # bytes; for larger files the time of change is enough


def ask(*argv: str) -> list[str]:
    if shutil.which(argv[0]) is None:
        return []
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()


def paths(roots: Iterable[str]) -> Iterator[str]:
    for root in roots:
        yield root
        for folder, folders, files in os.walk(root):
            yield from (os.path.join(folder, name) for name in [*folders, *files])  # noqa: PTH118


def describe(path: str, times: bool) -> list[object]:
    """Kind and mode, owner, content and, if wanted, the time of change."""
    found = os.lstat(path)
    content: object = ""
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)  # noqa: PTH115
    elif stat.S_ISREG(found.st_mode) and path not in LIVE:
        content = found.st_size
        if found.st_size < LARGE:
            with open(path, "rb") as file:  # noqa: PTH123
                content = hashlib.sha256(file.read()).hexdigest()
    kept = [oct(found.st_mode), found.st_uid, found.st_gid, content]
    return [*kept, found.st_mtime_ns] if times and path not in LIVE else kept


def files(roots: Iterable[str], *, times: bool) -> dict[str, list[object]]:
    found = {}
    for path in paths(roots):
        if path.startswith((f"{DATABASE}-", ENDED_SERVERS)):
            continue
        try:
            found[path] = describe(path, times)
        except FileNotFoundError:
            continue
    return found


def fence() -> list[str]:
    """Our own rules; Docker's come and go with containers."""
    own = [line for line in ask("iptables-save", "-t", "filter") if "HUBWRIGHT-" in line]
    return own + [line for line in ask("iptables-save", "-t", "nat") if "--comment hubwright" in line]


def segments() -> list[str]:
    return [line for line in ask("iptables-save", "-t", "mangle") if "--comment hubwright" in line]


def managed() -> dict[str, object]:
    properties = "--property=Id,ActiveState,UnitFileState,ActiveEnterTimestampMonotonic,MainPID,NRestarts"
    return {
        "files": files(MANAGED, times=True),
        "units": ask("systemctl", "show", properties, *UNITS),
        "images": sorted(ask("docker", "image", "ls", "--all", "--no-trunc", "--quiet")),
        "containers": [
            line
            for line in ask("docker", "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}")
            if " hubwright-server-" not in line
        ],  # visitors come and go
        "networks": ask("docker", "network", "ls", "--no-trunc", "--quiet"),
        "packages": ask("dpkg-query", "--show"),
        "fence": fence(),
        "segments": segments(),
    }


def host() -> dict[str, object]:
    return {
        "files": files(HOST, times=False),
        "packages": ask("dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Abbrev}\n"),
        "unit files": ask("systemctl", "list-unit-files", "--no-legend", "--plain"),
        "running": ask(
            "systemctl", "list-units", "--type=service", "--state=running", "--no-legend", "--plain"
        ),
        "users": Path("/etc/passwd").read_text(encoding="utf-8").splitlines(),
        "groups": Path("/etc/group").read_text(encoding="utf-8").splitlines(),
        "temporary files": sorted(
            path.name for path in Path("/tmp").iterdir() if not path.name.startswith((".", "systemd-"))
        ),
        "links": sorted(re.split("[ @]", line)[0] for line in ask("ip", "-brief", "link")),
        "fence": fence(),
        "segments": segments(),
    }


if __name__ == "__main__":
    parts = {"managed": managed, "host": host}
    print(json.dumps({part: parts[part]() for part in sys.argv[1:]}))
