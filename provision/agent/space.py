"""The room that a hub takes on a bare host, on the disks where it takes it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .resources import Machine, Problem
from .resources.docker.daemon import image_root
from .resources.fs import free_space

IMAGES = 2 * 1024**3  # one notebook image, its layers while it is built, and some to spare
REST = 1 * 1024**3  # packages and the hub's environment
ENVIRONMENTS = "/opt"


def require(machine: Machine) -> None:
    """Raise Problem when a disk has less room than a first apply takes; Docker may have one of its own."""
    require_space({image_root(machine): IMAGES, ENVIRONMENTS: REST})


def disk_of(path: str) -> int:
    """The number of the file system that a path is on."""
    return os.stat(path).st_dev


def require_space(needs: Mapping[str, int]) -> None:
    """Raise Problem when the file system of a path (or of its nearest parent) has less bytes than it needs.

    Paths on one file system need their sum, and the first of them is named.
    """
    paths: dict[int, str] = {}
    sums: dict[int, int] = {}
    for path, needed in needs.items():
        there, _ = free_space(path)
        disk = disk_of(there)
        paths.setdefault(disk, there)
        sums[disk] = sums.get(disk, 0) + needed
    for disk, path in paths.items():
        _, free = free_space(path)
        if free < sums[disk]:
            raise Problem(
                f"only {free / 1024**3:.1f} GiB free at {path}, "
                f"and a hub needs {sums[disk] / 1024**3:.1f} GiB there",
                "free some space, for example `docker system prune`, or enlarge the disk",
            )
