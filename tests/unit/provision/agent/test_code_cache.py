"""The agent's code that a host keeps between runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision.agent import code_cache
from provision.deploy.bundle import agent_code
from provision.ssh.loader import LOADER


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(code_cache, "FOLDER", str(tmp_path / "cache"))
    return tmp_path / "cache"


def runs_from(archive: Path, code: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the module be one of a zip. Returns its digest."""
    archive.write_bytes(code)
    monkeypatch.setattr(code_cache, "__loader__", SimpleNamespace(archive=str(archive)))
    return hashlib.sha256(code).hexdigest()


def test_code_that_was_sent_is_kept_under_the_digest_of_the_zip(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = runs_from(tmp_path / "zip", agent_code(), monkeypatch)
    code_cache.keep()
    assert [path.name for path in folder.iterdir()] == [digest]
    assert (folder / digest / "agent" / "main.py").read_text() == Path("provision/agent/main.py").read_text()
    assert folder.stat().st_mode & 0o777 == 0o700
    before = (folder / digest).stat().st_mtime_ns
    code_cache.keep()
    assert (folder / digest).stat().st_mtime_ns == before


def test_the_loader_looks_where_it_is_kept() -> None:
    assert f'"{code_cache.FOLDER}/"' in LOADER


def test_code_of_the_cache_itself_is_not_kept_again(folder: Path) -> None:
    code_cache.keep()
    assert not folder.exists()


def test_older_versions_and_unfinished_ones_go(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("unfinished.7", "old", "newer")):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (number, number))
    digest = runs_from(tmp_path / "zip", agent_code(), monkeypatch)
    code_cache.keep()
    assert {path.name for path in folder.iterdir()} == {digest, "newer"}


def test_a_host_that_cannot_keep_it_is_no_failure(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_text("a file, no folder")
    runs_from(tmp_path / "zip", agent_code(), monkeypatch)
    code_cache.keep()
    assert folder.is_file()


def test_nothing_of_it_stays_on_a_host_without_a_hub(folder: Path) -> None:
    (folder / "x").mkdir(parents=True)
    code_cache.forget()
    assert not folder.exists()
