"""The folder of archives, which every project of this user shares, and the lock of those that write to it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provision.report.reporter import Reporter
from provision.tools.atomic import atomic
from provision.tools.process import docker

ARCHIVES_KEPT = 3


def cache_folder() -> Path:
    """The folder of image archives of all projects on this computer; `make clean` empties it."""
    given = os.environ.get("HUBWRIGHT_CACHE")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "hubwright"


@contextmanager
def alone(reporter: Reporter) -> Iterator[None]:
    """Let one process at a time make images: the next one then finds them made."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with reporter.step("wait for another run that makes images"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def save(tag: str, archive: Path) -> None:
    """Save an image as an archive in the cache."""
    with keep(archive) as unfinished:
        docker("save", "--output", str(unfinished), tag)


@contextmanager
def keep(archive: Path) -> Iterator[Path]:
    """A name to write to, which becomes `archive` when complete. The oldest of its kind are deleted."""
    with atomic(archive) as unfinished:
        yield unfinished
    alike = archive.parent.glob(f"{archive.stem.rpartition('-')[0]}-*.tar")
    for old in sorted(alike, key=lambda path: path.stat().st_mtime, reverse=True)[ARCHIVES_KEPT:]:
        old.unlink()
