"""Measures of the host's load. The parsers are pure; only `read` looks at the host."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

# Folders of the control groups of Docker's containers: version 2 and 1, systemd's driver and Docker's own.
CGROUPS = (
    "/sys/fs/cgroup/system.slice",
    "/sys/fs/cgroup/docker",
    "/sys/fs/cgroup/memory/system.slice",
    "/sys/fs/cgroup/memory/docker",
)
_CONTAINER = re.compile(r"^(?:docker-)?([0-9a-f]{64})(?:\.scope)?$")
DISK = "/var/lib/docker"  # the disk with notebooks, images and volumes, unless SETTINGS name another
SETTINGS = Path("/etc/docker/daemon.json")


def read() -> dict[str, float]:
    """Values by name; sizes in bytes."""
    total, available = parse_memory(Path("/proc/meminfo").read_text(encoding="ascii"))
    data = data_root(SETTINGS)
    disk = shutil.disk_usage(data if os.path.exists(data) else "/")  # noqa: PTH110 - may not be listed
    names = [entry.name for folder in CGROUPS if os.path.isdir(folder) for entry in os.scandir(folder)]  # noqa: PTH112
    return {
        "host.load": os.getloadavg()[0],
        "host.cores": float(os.cpu_count() or 1),
        "host.memory.used": total - available,
        "host.memory.total": total,
        "host.disk.used": float(disk.total - disk.free),
        "host.disk.total": float(disk.total),
        "host.containers": float(len(containers(names))),
    }


def data_root(settings: Path) -> str:
    """The engine's folder, by its settings file."""
    try:
        return str(json.loads(settings.read_text(encoding="utf-8"))["data-root"])
    except (OSError, ValueError, LookupError, TypeError):
        return DISK


def parse_memory(text: str) -> tuple[float, float]:
    """Total and available bytes from /proc/meminfo."""
    found = {key: float(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    return found["MemTotal"], found["MemAvailable"]


def containers(names: Iterable[str]) -> set[str]:
    """Ids of Docker's containers among names of control groups."""
    return {match[1] for name in names if (match := _CONTAINER.match(name))}
