"""The agent's memory on the host between runs: lock, applied manifest, journal, blobs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import Any

from .resources import Problem, Resource
from .resources.fs import lstat, read_text, unlink, write_atomically

VERSION = 1
FOLDERS = ("backup", "blobs", "services")
TEMPORARY = ("conda", "sources")  # folders that resources make and delete again
JOURNAL = "journal.jsonl"
JOURNAL_TAIL = 1 << 16  # bytes: more than a line takes
LOCK = "/run/hubwright.lock"  # on a tmpfs: a lock never outlives a reboot


@dataclass
class Applied:
    """A resource that an earlier run, or this one, made true.

    `complete` is false where a run was about to, and did not come to its end.
    """

    role: str
    resource: dict[str, Any]
    claims: dict[str, Any] = field(default_factory=dict)
    complete: bool = True


class Busy(Problem):
    """Another run is at work on the host."""

    def __init__(self, holder: str) -> None:
        super().__init__(
            f"another run holds the lock ({holder})", "wait for it to end, then repeat the command"
        )
        self.holder = holder


class State:
    """The agent's folder. It is created with the first change of a run, not before."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.applied: dict[str, Applied] = {}
        path = f"{folder}/applied.json"
        if lstat(path) is None:
            return
        try:
            data = json.loads(read_text(path))
            version = data["version"]
            if version == VERSION:
                self.applied = {entry.pop("id"): _entry(**entry) for entry in data["resources"]}
        except (ValueError, TypeError, LookupError, AttributeError):
            raise Problem(
                f"{path} is damaged: it says what was put on this host",
                f"bring it back from a backup; without one `mv {path} {path}.damaged`, then apply: all that "
                "is wanted is made true again, and a removal leaves what it does not know any more",
            ) from None
        if version != VERSION:
            raise Problem(
                f"{path} was written by another version of hubwright",
                "use that version, or a newer one",
            )

    def path(self, *parts: str) -> str:
        """A path in the folder. Its parent is there once something has been recorded."""
        return os.path.join(self.folder, *parts)

    def record(self, role: str, resource: Resource) -> None:
        """Remember a resource that is true now. On disk when this returns."""
        self._remember(role, resource, {}, complete=True)

    def claim(self, role: str, resource: Resource, **facts: Any) -> None:
        """Remember facts about a resource that is about to be made true. On disk when this returns."""
        known = self.applied.get(resource.id)
        self._remember(role, resource, facts, complete=known is not None and known.complete)

    def _remember(self, role: str, resource: Resource, facts: dict[str, Any], *, complete: bool) -> None:
        known = self.applied.get(resource.id)
        claims = {**(known.claims if known else {}), **_plain(facts)}
        wanted = Applied(role, _plain(resource.record()), claims, complete)
        if known != wanted:
            self.applied[resource.id] = wanted
            self._save()

    def forget(self, id: str) -> None:  # noqa: A002
        if self.applied.pop(id, None):
            self._save()

    def journal(self, entry: dict[str, Any]) -> None:
        """Add a line to the journal: what a run did. Runs that change nothing leave no line."""
        with open(self.path(JOURNAL), "a", encoding="utf-8") as file:
            if not self._journal_is_whole():
                file.write("\n")  # a power cut has cut the last line off
            file.write(json.dumps({"time": _now(), **entry}, sort_keys=True) + "\n")

    def _journal_is_whole(self) -> bool:
        with open(self.path(JOURNAL), "rb") as file:
            if not file.seek(0, os.SEEK_END):
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def last_run_failed(self) -> bool:
        """True when the journal's last line says so; a line that a power cut has cut off is ignored."""
        try:
            with open(self.path(JOURNAL), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - JOURNAL_TAIL))
                lines = file.read().splitlines()
        except OSError:
            return False
        for line in reversed(lines):
            try:
                entry = json.loads(line)
                return bool(entry.get("failed") or entry.get("skipped"))
            except (ValueError, AttributeError):
                continue
        return False

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that this class writes into."""
        return self.folder, *(self.path(name) for name in FOLDERS)

    def tidy(self) -> None:
        """Delete large inputs and temporary folders that are still there after a run that has done all.

        Their users were killed, or a run that failed has kept them for this one.
        """
        for name in TEMPORARY:
            shutil.rmtree(self.path(name), ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.path("blobs")):
                unlink(self.path("blobs", name))

    def forget_runs(self) -> None:
        """Empty the journal."""
        if self.applied:
            write_atomically(self.path(JOURNAL), "", 0o644)

    @staticmethod
    def lock(note: str = "") -> bool:
        """Hold the machine's only lock until this process ends. Busy names the process that has it.

        Returns True when the run that held it before was killed.
        """
        while True:
            handle = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = read_text(LOCK).strip() or "unknown"
                raise Busy(holder) from None
            present = lstat(LOCK)
            if present is not None and present.st_ino == os.fstat(handle).st_ino:
                break
            os.close(handle)  # its holder has deleted the file
        killed = os.fstat(handle).st_size > 0
        os.truncate(handle, 0)
        os.write(handle, ", ".join(filter(None, (note, f"pid {os.getpid()}, since {_now()}"))).encode())
        return killed

    @staticmethod
    def note(text: str) -> None:
        """Add a text to what others read about the holder of the lock, which is this process."""
        with contextlib.suppress(OSError):  # an uninstall has deleted it
            handle = os.open(LOCK, os.O_WRONLY | os.O_APPEND)
            os.write(handle, f", {text}".encode())
            os.close(handle)

    @staticmethod
    def leave() -> None:
        """Note that this run, which holds the lock, ends by itself."""
        with contextlib.suppress(OSError):
            os.truncate(LOCK, 0)

    def end(self) -> None:
        """Take everything of ours away when nothing is applied any more: the end of an uninstall."""
        if not self.applied:
            shutil.rmtree(self.folder, ignore_errors=True)
            unlink(LOCK)

    def _save(self) -> None:
        for name in ("", *FOLDERS):
            os.makedirs(self.path(name), mode=0o700, exist_ok=True)
        entries = []
        for key, value in self.applied.items():
            entry = {"id": key, **vars(value)}
            if value.complete:
                del entry["complete"]
            entries.append(entry)
        # A line a resource. Not `indent`: with it json takes thirty times as long, and this is written often.
        lines = ",\n".join(json.dumps(entry) for entry in entries)
        text = f'{{"version": {VERSION}, "resources": [\n{lines}\n]}}\n'
        write_atomically(self.path("applied.json"), text, 0o600)
        if lstat(self.path(JOURNAL)) is None:  # the status page is given this file, and nothing beside it
            write_atomically(self.path(JOURNAL), "", 0o644)


def _entry(role: str, resource: dict[str, Any], claims: Any = None, complete: Any = True) -> Applied:
    """An entry of the file. TypeError, LookupError or AttributeError for one that is none."""
    resource["kind"].islower()
    return Applied(role, resource, dict(claims or {}), bool(complete))


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """The data as JSON returns it, with lists for tuples, so that known data is not written again."""
    plain: dict[str, Any] = json.loads(json.dumps(data))
    return plain


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
