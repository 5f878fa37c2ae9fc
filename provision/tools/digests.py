"""Digests of large files, computed once for each state of a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from provision.errors import SettingsError
from provision.tools.atomic import atomic


def file_digest(path: Path, notes: Path) -> str:
    """SHA-256 of a file in hexadecimal, remembered in the folder `notes` for its size and time of change.

    Raises SettingsError when it cannot be read, for example a folder.
    """
    name = str(path.absolute())
    note = notes / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.digest.json"
    try:
        status = path.stat()
        state = [name, status.st_size, status.st_mtime_ns]
        if known := _noted(note, state):
            return known
        digest = _computed(path)
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            hint="write it with `docker save --output FILE IMAGE`, or correct [image] archive",
        ) from None
    notes.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError), atomic(note) as unfinished:  # another run wrote the same one
        unfinished.write_text(json.dumps({"state": state, "sha256": digest}), encoding="utf-8")
    _delete_notes_of_deleted_files(notes)
    return digest


def _noted(note: Path, state: list[Any]) -> str:
    """The digest in the note for that state; empty when there is no note, or only half a note."""
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return str(known["sha256"]) if known["state"] == state else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _delete_notes_of_deleted_files(notes: Path) -> None:
    for note in notes.glob("*.digest.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if not Path(json.loads(note.read_text(encoding="utf-8"))["state"][0]).exists():
                note.unlink()


def _computed(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()
