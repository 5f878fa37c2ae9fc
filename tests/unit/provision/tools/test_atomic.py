"""Files are written completely or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.tools.atomic import atomic


def test_what_is_finished_has_its_name(tmp_path: Path) -> None:
    (tmp_path / "file.tar").write_text("old")
    (tmp_path / "file.tar.unfinished").write_text("of a run that was killed")
    with atomic(tmp_path / "file.tar") as unfinished:
        unfinished.write_text("new")
        assert (tmp_path / "file.tar").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file.tar": "new"}


def test_what_is_not_finished_goes(tmp_path: Path) -> None:
    (tmp_path / "file.tar").write_text("old")

    def cut_off() -> None:
        with atomic(tmp_path / "file.tar") as unfinished:
            unfinished.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file.tar": "old"}


def test_where_nothing_can_be_written_the_first_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").touch()
    with pytest.raises(NotADirectoryError), atomic(tmp_path / "folder" / "file") as unfinished:
        unfinished.touch()
