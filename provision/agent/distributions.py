"""The distributions that a host may run, their differences, and the checks before anything is changed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .events import Hello
from .resources import Problem
from .resources.fs import read_text


@dataclass(frozen=True)
class Distribution:
    """A release. `instead`: the packages to install for one that has less content in this release."""

    name: str
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def packages(self, names: Iterable[str]) -> list[str]:
        """The names of these packages in this release."""
        return [found for name in names for found in self.instead.get(name, (name,))]


# ID and VERSION_ID of os-release(5). Roles use the names of Debian 12. setup.sh reads the keys from here.
KNOWN = {
    ("debian", "12"): Distribution("Debian 12"),
    ("debian", "13"): Distribution("Debian 13", {"docker.io": ("docker.io", "docker-cli")}),
    ("ubuntu", "22.04"): Distribution("Ubuntu 22.04"),
    ("ubuntu", "24.04"): Distribution("Ubuntu 24.04"),
    ("ubuntu", "26.04"): Distribution("Ubuntu 26.04"),
}


def parse_os_release(text: str) -> dict[str, str]:
    """Keys and values of /etc/os-release, see os-release(5)."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def identify(release: Mapping[str, str]) -> Distribution:
    """The distribution that an os-release describes. Problem when it is not a known one."""
    key = (release.get("ID", ""), release.get("VERSION_ID", ""))
    if key not in KNOWN:
        name = release.get("PRETTY_NAME") or "this system"
        known = ", ".join(distribution.name for distribution in KNOWN.values())
        raise Problem(f"{name} is not supported", f"known are {known}")
    return KNOWN[key]


def here() -> Distribution:
    """The distribution of this host. Problem when a hub cannot run on it."""
    found = identify(parse_os_release(read_text("/etc/os-release")))
    if os.geteuid() != 0:
        raise Problem("the agent needs root", "log in as root or as a user with sudo")
    if not os.path.isdir("/run/systemd/system"):
        raise Problem("systemd does not run here", "use a machine, VM or container whose init is systemd")
    return found


def describe(distribution: Distribution) -> Hello:
    """Facts about this host for the driver's report."""
    return Hello(distribution.name, platform.node(), platform.python_version())


def require_writable(*paths: str) -> None:
    """Raise Problem when one of these folders is on a file system that is mounted read-only."""
    for path in paths:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise Problem(
                f"{path} is mounted read-only, and a hub has files there",
                f"`mount -o remount,rw {path}` on the host, and what /etc/fstab says of it for the next boot",
            )
