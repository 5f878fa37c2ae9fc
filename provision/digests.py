"""Digests of large files, computed once for each state of a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from provision.errors import SettingsError


def file_digest(path: Path, notes: Path) -> str:
    """SHA-256 of a file in hexadecimal, remembered in the folder `notes` for its size and time of change."""
    try:
        status = path.stat()
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            hint="write it with `docker save --output FILE IMAGE`, or correct [image] archive",
        ) from None
    name = str(path.absolute())
    state = [name, status.st_size, status.st_mtime_ns]
    note = notes / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.digest.json"
    if note.exists():
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["state"] == state:
            return str(known["sha256"])
    with path.open("rb") as file:
        total = hashlib.sha256()
        while chunk := file.read(1 << 20):
            total.update(chunk)
    notes.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"state": state, "sha256": total.hexdigest()}), encoding="utf-8")
    return total.hexdigest()
