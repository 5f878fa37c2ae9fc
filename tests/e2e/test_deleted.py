"""Deleted files of a disk are not in an image of it: shown on real file systems."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.baking.deleted import SBIN, UNKNOWN, partitions, without_deleted
from provision.machines import boxes
from provision.tools.process import ProgramError

SECRET = b"a key of this machine alone"
KEPT = b"what the image is made for\n" * 5000
START = boxes.START * boxes.SECTOR
SIZE = 64 * 1024**2  # bytes


def program(*argv: str) -> bytes:
    return subprocess.run(argv, check=True, capture_output=True).stdout


def data(file: Path) -> Iterator[bytes]:
    """All parts of a file that are no holes."""
    with file.open("rb") as source:
        end = 0
        while True:
            try:
                start = os.lseek(source.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: no more data
                return
            end = os.lseek(source.fileno(), start, os.SEEK_HOLE)
            yield os.pread(source.fileno(), end - start, start)


@pytest.fixture
def ext4(tmp_path: Path) -> Path:
    """A file system with a file, and the remains of a deleted one."""
    files, made = tmp_path / "files", tmp_path / "ext4"
    files.mkdir()
    (files / "kept").write_bytes(KEPT)
    (files / "deleted").write_bytes(SECRET * 1000)
    with made.open("wb") as file:
        file.truncate(SIZE)
    program(f"{SBIN}/mke2fs", "-q", "-t", "ext4", "-d", str(files), str(made))
    for change in ("rm deleted", "set_inode_field kept links_count 2"):  # damage that fsck repairs
        program(f"{SBIN}/debugfs", "-w", "-R", change, str(made))
    assert any(SECRET in part for part in data(made)), "deleted is not gone"
    return made


@pytest.fixture
def disk(tmp_path: Path, ext4: Path) -> Path:
    """A disk with GRUB's core before its one partition."""
    made = tmp_path / "disk"
    with made.open("wb") as file:
        file.truncate(boxes.DISK)
        file.write(boxes.first_sectors(b"boot", b"GRUB's core"))
        file.seek(START)
        file.write(ext4.read_bytes())
    return made


def test_deleted_files_do_not_come_along(disk: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    assert without_deleted(disk, image) == set()
    assert image.stat().st_size == disk.stat().st_size
    assert not any(SECRET in part for part in data(image))
    with disk.open("rb") as before, image.open("rb") as after:
        assert before.read(START) == after.read(START)
        copied = tmp_path / "copied"
        copied.write_bytes(after.read(SIZE))
    program(f"{SBIN}/e2fsck", "-f", "-n", str(copied))
    assert program(f"{SBIN}/debugfs", "-R", "cat kept", str(copied)) == KEPT
    assert {path.name for path in tmp_path.iterdir()} == {"files", "ext4", "disk", "image", "copied"}


def test_a_disk_need_not_have_partitions(ext4: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    assert partitions(ext4) == [(0, SIZE)]
    assert without_deleted(ext4, image) == set()
    assert not any(SECRET in part for part in data(image))
    assert program(f"{SBIN}/debugfs", "-R", "cat kept", str(image)) == KEPT


def test_what_is_not_understood_is_copied_and_named(tmp_path: Path) -> None:
    swap, image = tmp_path / "swap", tmp_path / "image"
    swap.write_bytes(b"\0" * 8192 + SECRET * 1000 + b"\0" * 1024**2)
    program(f"{SBIN}/mkswap", str(swap))
    assert without_deleted(swap, image) == {"swap"}
    assert image.read_bytes() == swap.read_bytes()


def test_a_disk_that_makes_no_sense_is_not_said_to_be_clean(tmp_path: Path) -> None:
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.write_bytes(b"\0" * 8192 + SECRET * 1000)
    assert without_deleted(disk, image) == {UNKNOWN}
    assert image.read_bytes() == disk.read_bytes()


def test_a_broken_file_system_is_an_error(ext4: Path, tmp_path: Path) -> None:
    os.truncate(ext4, SIZE // 2)
    with pytest.raises(ProgramError, match="superblock or the partition table is likely to be corrupt"):
        without_deleted(ext4, tmp_path / "image")
    assert not list(tmp_path.glob("*.part"))
