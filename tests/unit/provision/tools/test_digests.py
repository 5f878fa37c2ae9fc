"""Digests of large files, and the notes of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from provision.errors import SettingsError
from provision.tools.digests import file_digest

CONTENT = b"layers"
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("note", ["", "{", "[]", "null", "{}", '{"state": []}', "\0"])
def test_a_note_that_was_cut_off_is_written_again(tmp_path: Path, note: str) -> None:
    (tmp_path / "image.tar").write_bytes(CONTENT)
    file_digest(tmp_path / "image.tar", tmp_path / "notes")
    (kept,) = (tmp_path / "notes").iterdir()
    good = kept.read_text()
    kept.write_text(note)
    assert file_digest(tmp_path / "image.tar", tmp_path / "notes") == SHA
    assert kept.read_text() == good
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize(
    ("name", "reason"), [("gone.tar", "No such file"), ("", "Is a directory"), ("image.tar/x", "Not a dir")]
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "image.tar").write_bytes(CONTENT)
    with pytest.raises(SettingsError, match=f"cannot be read: {reason}") as refused:
        file_digest(tmp_path / name, tmp_path / "notes")
    assert refused.value.hint
    assert not (tmp_path / "notes").exists()


def test_the_note_of_a_file_that_went_goes_with_the_next_one(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for name in ("first.tar", "second.tar", "third.tar"):
        (tmp_path / name).write_text(name)
        file_digest(tmp_path / name, notes)
        if name == "second.tar":
            (tmp_path / "first.tar").unlink()
    kept = [json.loads(note.read_text())["state"][0] for note in notes.iterdir()]
    assert sorted(kept) == [str(tmp_path / "second.tar"), str(tmp_path / "third.tar")]
