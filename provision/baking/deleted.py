"""Copies of disks without deleted files, whose bytes stay on a disk until they are overwritten.

A machine cannot remove them by itself: vagrant-libvirt makes its disk as a qcow2 of version 2 on top of
another, and that has no way to note what the machine discards (fstrim).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from provision.tools.process import ProgramError, run

SBIN = "/usr/sbin"  # not in every PATH
SECTOR = 512
CHECKED = {"ext2", "ext3", "ext4"}
UNKNOWN = "something unknown"
HOLDS_NOTHING = {"", "vfat"}  # no file system; the boot loader's


def without_deleted(disk: Path, target: Path) -> set[str]:
    """Copy a raw disk as a sparse file, without what belongs to no file of its file systems.

    Returns the kinds that were copied with deleted files: other file systems than ext4, swap, UNKNOWN.
    Raises ProgramError when a file system is broken; `target` is left half written then.
    """
    kept = set()
    copied = 0
    with disk.open("rb") as source, target.open("wb") as out:
        out.truncate(disk.stat().st_size)
        for start, size in partitions(disk):
            kind = file_system(disk, start, size)
            if kind in CHECKED:
                _copy(source.fileno(), copied, start - copied, out.fileno(), copied)
                with _emptied(source.fileno(), start, size, target.with_suffix(".part")) as part:
                    _copy(part, 0, size, out.fileno(), start)
                copied = start + size
            elif kind not in HOLDS_NOTHING:
                kept.add(kind)
        if not (copied or kept):
            kept.add(UNKNOWN)  # a disk that seems empty was not understood
        _copy(source.fileno(), copied, disk.stat().st_size - copied, out.fileno(), copied)
    return kept


def partitions(disk: Path) -> list[tuple[int, int]]:
    """Start and size in bytes, in order; the complete disk when it has no table of partitions."""
    try:
        told = run(["partx", "--raw", "--noheadings", "--output", "START,SECTORS", str(disk)])
    except ProgramError:
        return [(0, disk.stat().st_size)]
    rows = (line.split() for line in told.splitlines() if line.strip())
    return sorted((int(start) * SECTOR, int(sectors) * SECTOR) for start, sectors in rows)


def file_system(disk: Path, start: int, size: int) -> str:
    """blkid's name of the content, empty when there is none; UNKNOWN when it cannot tell."""
    place = ["--offset", str(start), "--size", str(size)]
    try:
        told = run(
            [f"{SBIN}/blkid", "--probe", *place, "--output", "value", "--match-tag", "TYPE", str(disk)]
        )
    except ProgramError as error:
        return "" if error.exit_code == 2 else UNKNOWN  # 2: nothing was found
    return told.strip()


@contextlib.contextmanager
def _emptied(source: int, start: int, size: int, part: Path) -> Iterator[int]:
    """A file with that partition only: on a complete disk, older e2fsck discard at the wrong place."""
    try:
        with part.open("w+b") as file:
            file.truncate(size)
            _copy(source, start, size, file.fileno(), 0)
        check = [f"{SBIN}/e2fsck", "-f", "-y"]
        try:
            run([*check, str(part)])
        except ProgramError as error:
            if error.exit_code != 1:  # 1: errors were corrected
                raise
        run([*check, "-E", "discard", str(part)])  # e2fsck discards only when there was nothing to correct
        with part.open("rb") as file:
            yield file.fileno()
    finally:
        part.unlink(missing_ok=True)


def _copy(source: int, start: int, size: int, target: int, at: int) -> None:
    """Copy all parts that are not holes to a file that is one hole."""
    place, end = start, start + size
    while place < end:
        try:
            place = os.lseek(source, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            raise
        stop = min(os.lseek(source, place, os.SEEK_HOLE), end)
        while place < stop:
            place += os.copy_file_range(source, target, stop - place, place, at + place - start)
