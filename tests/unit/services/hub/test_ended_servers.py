"""The ends of servers' logs are kept, for some time, up to a size."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

import ended_servers
import pytest

DAY = 86400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which moves a little with each look at it."""
    now = [1_800_000_000.0]

    def time_ns() -> int:
        now[0] += 0.001
        return int(now[0] * 1e9)

    fake = SimpleNamespace(time_ns=time_ns, time=lambda: now[0])
    monkeypatch.setattr(ended_servers, "time", fake)
    return now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ended"


@pytest.mark.usefixtures("clock")
def test_a_log_is_kept_with_its_owner_and_only_the_hub_may_read_it(folder: Path) -> None:
    ended_servers.keep("ada", "", b"one\ntwo\n", folder)
    ended_servers.keep("Ada L\u00f6/../x", "lab", b"\xff\n", folder)
    first, second = ended_servers.found(folder)
    assert (first.user, first.server, first.text()) == ("ada", "", "one\ntwo\n")
    assert (second.user, second.server, second.text()) == ("Ada L\u00f6/../x", "lab", "\ufffd\n")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


@pytest.mark.usefixtures("clock")
def test_of_a_long_log_the_last_whole_lines_are_kept(folder: Path) -> None:
    ended_servers.keep("ada", "", b"".join(b"line %d\n" % n for n in range(50_000)), folder)
    [server] = ended_servers.found(folder)
    assert server.file.stat().st_size <= ended_servers.MAX_SIZE + 200
    lines = server.text().splitlines()
    assert (lines[-1], len(lines) > 1000) == ("line 49999", True)
    assert all(line.startswith("line ") for line in lines)


@pytest.mark.usefixtures("clock")
def test_the_newest_are_kept_when_there_are_too_many(folder: Path) -> None:
    for number in range(ended_servers.MAX_LOGS + 5):
        ended_servers.keep(f"user{number}", "", b"x\n", folder)
    assert len(list(folder.iterdir())) == ended_servers.MAX_LOGS
    found = ended_servers.found(folder)
    assert (found[0].user, found[-1].user) == ("user5", f"user{ended_servers.MAX_LOGS + 4}")


def test_what_is_too_old_is_not_shown_and_goes(folder: Path, clock: list[float]) -> None:
    ended_servers.keep("ada", "", b"x\n", folder)
    clock[0] += 8 * DAY
    assert ended_servers.found(folder) == []
    ended_servers.forget(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("content", [b"", b"[]\n", b"{}\n", b'{"user": "a", "server": "", "ended": "x"}\n'])
def test_a_file_that_makes_no_sense_is_passed_over(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "1800000000000000000.log").write_bytes(content)
    (folder / "1800000000000000000.new").write_bytes(b"half")
    (folder / "notes.log").write_bytes(b"mine")
    assert ended_servers.found(folder) == []


@pytest.mark.usefixtures("clock")
def test_a_full_disk_leaves_nothing_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            ended_servers.keep("ada", "", b"x\n", folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_holds_nothing(folder: Path) -> None:
    assert ended_servers.found(folder) == []
    ended_servers.forget(folder)
