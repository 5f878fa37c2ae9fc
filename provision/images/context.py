"""Build contexts: the files from which an image is built, as one file.

The same content leads to the same bytes: owners are root's, as Docker has them, and times are fixed.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from provision.errors import HubwrightError, SettingsError
from provision.report.reporter import Reporter
from provision.tools.digests import file_digest

from . import ignored
from .cache import alone, cache_folder, keep

DOCKERFILE = "Dockerfile"
IGNORE_FILE = ".dockerignore"
TIME = 946684800  # the year 2000: zip files, such as wheels, have no time before 1980
LARGE = 1 << 20  # bytes: a larger file or context is not held in memory
HEADER = 1024  # bytes that a tar has for each member, about
PLAIN = {True: 0o755, False: 0o644}


@dataclass(frozen=True)
class Member:
    """A file, folder or symbolic link of a context. `content` stands for a file that is not on the disk."""

    name: str
    mode: int
    kind: bytes = tarfile.REGTYPE
    size: int = 0
    path: Path | None = None
    content: bytes = b""
    link: str = ""

    def open(self) -> IO[bytes]:
        """The bytes of a file. Raises SettingsError for one that cannot be read."""
        if self.path is None:
            return io.BytesIO(self.content)
        try:
            return self.path.open("rb")
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def digest(self) -> str:
        """SHA-256 of a file's content. That of a large one is remembered for its size and time of change."""
        if self.path is not None and self.size > LARGE:
            with self.open():  # raises our own error when it cannot be read
                return file_digest(self.path, cache_folder())
        with self.open() as file:
            return hashlib.sha256(file.read()).hexdigest()

    def header(self) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(self.name)
        entry.type, entry.mode, entry.size = self.kind, self.mode, self.size
        entry.linkname, entry.mtime = self.link, TIME
        return entry


@dataclass(frozen=True)
class Context:
    """The members of a build context, in the order in which they are sent."""

    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of the tar, about."""
        return sum(member.size + HEADER for member in self.members)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is sent."""
        listed = [
            (m.name, m.kind.decode(), m.mode, m.link, m.digest() if m.kind == tarfile.REGTYPE else "")
            for m in self.members
        ]
        return hashlib.sha256(json.dumps([TIME, listed]).encode()).hexdigest()

    def write(self, file: IO[bytes]) -> None:
        """Write it as a tar, piece by piece."""
        with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for member in self.members:
                if member.kind != tarfile.REGTYPE:
                    archive.addfile(member.header())
                    continue
                with member.open() as content:
                    try:
                        archive.addfile(member.header(), content)
                    except OSError as error:
                        if error.errno not in (None, errno.EIO):  # the tar cannot be written
                            raise
                        raise _unreadable(member.path or Path(member.name), error) from None

    def tar(self) -> bytes:
        buffer = io.BytesIO()
        self.write(buffer)
        return buffer.getvalue()

    def packed(self, name: str, reporter: Reporter) -> bytes | Path:
        """The tar: in memory where it is small, else a file in the cache, written once."""
        if self.size <= LARGE:
            return self.tar()
        path = cache_folder() / f"context-{name}-{self.digest[:16]}.tar"
        if path.exists():
            return path
        with alone(reporter):
            if not path.exists():  # another run may have written it meanwhile
                with reporter.step(f"pack the build folder of {name} ({self.size / 1e6:.0f} MB)"):
                    self._write_to(path)
        return path

    def _write_to(self, path: Path) -> None:
        try:
            with keep(path) as unfinished, unfinished.open("wb") as file:
                self.write(file)
        except OSError as error:
            raise HubwrightError(
                f"cannot be written: {error.strerror}",
                where=str(path),
                hint="make room, or name another folder with HUBWRIGHT_CACHE",
            ) from None


def context(folder: Path, extra: Mapping[str, bytes] | None = None) -> Context:
    """The files of a folder that `docker build` would send, with `extra` files beside them.

    As in BuildKit, an existing `Dockerfile.dockerignore` replaces `.dockerignore`, and a folder that is left
    out is still searched for exceptions.
    """
    left_out = _ignored(folder)
    added = extra or {}
    found: dict[str, Member] = {}
    for member in _walk(folder, "", left_out):
        always = member.name in (DOCKERFILE, IGNORE_FILE)  # the engine itself takes them out of the image
        if not always and member.name in left_out:
            continue
        for parent in reversed(Path(member.name).parents[:-1]):  # left out, except for this member
            name = parent.as_posix()
            found.setdefault(name, _member(folder / name, name))
        found[member.name] = member
    found |= {name: Member(name, PLAIN[False], size=len(text), content=text) for name, text in added.items()}
    return Context(tuple(found[name] for name in sorted(found)))


def own_context(folder: Path, extra: Mapping[str, bytes] | None = None) -> Context:
    """A folder of this project with `extra` files: the same in every clone, whatever its umask or caches."""
    members = {
        name: Member(name, 0o644, size=len(text), content=text) for name, text in (extra or {}).items()
    }
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith((".", "__")) for part in name.split("/")):
            mode = PLAIN[os.access(path, os.X_OK)]
            members.setdefault(name, Member(name, mode, size=path.stat().st_size, path=path))
    return Context(tuple(members[name] for name in sorted(members)))


def _ignored(folder: Path) -> ignored.Ignored:
    for name in (f"{DOCKERFILE}{IGNORE_FILE}", IGNORE_FILE):
        path = folder / name
        try:
            return ignored.parse(path.read_text(encoding="utf-8", errors="surrogateescape"), str(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unreadable(path, error) from None
    return ignored.Ignored()


def _walk(folder: Path, inside: str, left_out: ignored.Ignored) -> Iterator[Member]:
    """All members of a folder, those of its folders included; links are not followed."""
    try:
        entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder / inside, error) from None
    for entry in entries:
        name = f"{inside}/{entry.name}" if inside else entry.name
        if (
            entry.is_dir(follow_symlinks=False)
            or entry.is_file(follow_symlinks=False)
            or entry.is_symlink()  # sockets, pipes and devices are no part of an image
        ):
            yield _member(Path(entry.path), name)
        if entry.is_dir(follow_symlinks=False) and (left_out.has_exceptions or name not in left_out):
            yield from _walk(folder, name, left_out)


def _member(path: Path, name: str) -> Member:
    try:
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            return Member(name, 0o777, tarfile.SYMTYPE, link=os.readlink(path))  # noqa: PTH115 - as it is, not as a path
        if stat.S_ISDIR(status.st_mode):
            return Member(name, mode, tarfile.DIRTYPE)
        return Member(name, mode, size=status.st_size, path=path)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"cannot be read: {error.strerror or error}",
        where=str(path),
        hint=f"make it readable, or leave it out with a line in {IGNORE_FILE}",
    )
