"""Functions for paths that many resources need."""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable

UNFINISHED = ".hubwright-"
CANDIDATE = f"{UNFINISHED}candidate-"  # with a name after it, for programs that want a certain ending
# The eight characters are those of the module tempfile.
_UNFINISHED_NAME = re.compile(rf"{re.escape(UNFINISHED)}[a-z0-9_]{{8}}|{re.escape(CANDIDATE)}.+")


def write_atomically(path: str, content: str, mode: int, owner: str = "root", group: str = "root") -> None:
    """Write beside `path`, then rename: readers see the old file or the new one, never half of it.

    It is on the disk when this returns. A run that is killed here leaves a file that `sweep` deletes.
    """
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            set_access(temporary, mode, owner, group)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        unlink(temporary)
        raise
    sync(folder)


def copy_atomically(source: str, path: str) -> None:
    """Copy a file or link with mode, owner and times, as `write_atomically` writes."""
    folder, found = os.path.dirname(path), os.lstat(source)
    handle, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=folder)
    os.close(handle)
    try:
        if stat.S_ISLNK(found.st_mode):
            unlink(temporary)
        shutil.copy2(source, temporary, follow_symlinks=False)
        os.lchown(temporary, found.st_uid, found.st_gid)
        if not stat.S_ISLNK(found.st_mode):
            os.chmod(temporary, stat.S_IMODE(found.st_mode))  # a change of owner takes some bits away
            sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        unlink(temporary)
        raise
    sync(folder)


def sync(path: str) -> None:
    """Return when the content of a file, or the entries of a folder, are on the disk.

    Some file systems cannot do that for folders; see fsync(2).
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def sweep(folders: Iterable[str]) -> list[str]:
    """Delete the files that a killed run did not finish to write in these folders. Returns their paths.

    Only for the one run that may write: another's unfinished files are like those of a killed one.
    """
    found = []
    for folder in sorted(set(folders)):
        with contextlib.suppress(OSError):  # it is not there, or is no folder
            for entry in os.scandir(folder):
                if _UNFINISHED_NAME.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False):
                    unlink(entry.path)
                    found.append(entry.path)
    return found


def sha256_of(path: str) -> str:
    """SHA-256 of a file in hexadecimal digits; empty when it does not exist."""
    seen = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                seen.update(chunk)
    except FileNotFoundError:
        return ""
    return seen.hexdigest()


def set_access(path: str, mode: int, owner: str, group: str) -> None:
    os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    os.chmod(path, mode)


def lstat(path: str) -> os.stat_result | None:
    """The status of `path` itself, or None when it does not exist."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_text(path: str) -> str:
    """The text of a file; empty when it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def free_space(path: str) -> tuple[str, int]:
    """`path`, or its nearest parent that exists, and the bytes free on its file system."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path, shutil.disk_usage(path).free


def missing_parents(path: str) -> list[str]:
    """`path` and its ancestors that do not exist, the deepest first: the order of removal."""
    missing = []
    while path != "/" and lstat(path) is None:
        missing.append(path)
        path = os.path.dirname(path)
    return missing


def remove_empty(paths: list[str]) -> None:
    """Remove directories, the deepest first, up to one that is not empty."""
    for path in paths:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            break
