"""Functions for paths that many resources need."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import shutil
import tempfile


def write_atomically(path: str, content: str, mode: int, owner: str = "root", group: str = "root") -> None:
    """Write beside `path`, then rename: readers see the old file or the new one, never half of it."""
    handle, temporary = tempfile.mkstemp(prefix=".hubwright-", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        set_access(temporary, mode, owner, group)
        os.replace(temporary, path)
    except BaseException:
        unlink(temporary)
        raise


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
