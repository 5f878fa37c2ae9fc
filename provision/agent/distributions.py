"""Which distributions a host may run, and what is asked of it before anything is changed."""

from __future__ import annotations

import os
import platform

from .resources import Problem
from .resources.fs import free_space, read_text

KNOWN = {
    ("debian", "12"): "Debian 12",
    ("debian", "13"): "Debian 13",
    ("ubuntu", "22.04"): "Ubuntu 22.04",
    ("ubuntu", "24.04"): "Ubuntu 24.04",
    ("ubuntu", "26.04"): "Ubuntu 26.04",
}

# What a whole hub takes on a bare host (packages, environment, one notebook image), with room to work in.
NEEDED_FREE = 3 * 1024**3


def parse_os_release(text: str) -> dict[str, str]:
    """Keys and values of /etc/os-release, see os-release(5)."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def identify(release: dict[str, str]) -> str:
    """The distribution's name. Problem when it is not a known one."""
    key = (release.get("ID", ""), release.get("VERSION_ID", ""))
    if key not in KNOWN:
        name = release.get("PRETTY_NAME") or "this system"
        raise Problem(f"{name} is not supported", f"known are {', '.join(KNOWN.values())}")
    return KNOWN[key]


def describe() -> dict[str, str]:
    """Facts about this machine for the driver's report. Problem when a hub cannot stand on it."""
    name = identify(parse_os_release(read_text("/etc/os-release")))
    if os.geteuid() != 0:
        raise Problem("the agent needs root", "log in as root or as a user with sudo")
    if not os.path.isdir("/run/systemd/system"):
        raise Problem("systemd does not run here", "use a machine, VM or container whose init is systemd")
    return {"os": name, "hostname": platform.node(), "python": platform.python_version()}


def require_space(path: str, needed: int) -> None:
    """Problem when the file system of `path`, or of its nearest parent, has less than `needed` bytes free."""
    path, free = free_space(path)
    if free < needed:
        raise Problem(
            f"only {free / 1024**3:.1f} GiB free at {path}, and a hub needs {needed / 1024**3:.1f} GiB",
            "free some space, for example `docker system prune`, or enlarge the disk",
        )
