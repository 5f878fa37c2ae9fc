"""The agent's memory: what a run that was cut short leaves, and the lock."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from provision.agent import state
from provision.agent.machine import LocalMachine
from provision.agent.resources import File, Problem
from provision.agent.state import State
from tests.support.fakes.things import A, B, Driver, Thing


def test_what_a_killed_run_was_about_to_make_is_on_disk(driver: Driver) -> None:
    killed = Thing("a", behaviour="killed")
    run = driver.prepare(one=[killed])
    with pytest.raises(KeyboardInterrupt):
        run._apply_resource(run.roles[0], run.roles[0].resources[0], LocalMachine("one", run.shared))
    assert State(str(driver.folder)).applied["thing:a"].claims == {"created": True}

    assert driver(one=[A]) == {"a": "changed"}
    assert driver() == {"a": "removed"}
    assert Thing.world == {}


def test_a_file_that_was_there_survives_a_killed_run(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs\n")
    monkeypatch.setattr("provision.agent.resources.files.file.set_access", lambda *_: None)
    wanted = File(str(theirs), "ours\n")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("provision.agent.resources.files.file.write_atomically", killed)
        run = driver.prepare(one=[wanted])
        with pytest.raises(KeyboardInterrupt):
            run._apply_resource(run.roles[0], wanted, LocalMachine("one", run.shared))
    monkeypatch.setattr("provision.agent.resources.files.file._access_change", lambda *_: None)
    assert list(driver(one=[wanted]).values()) == ["changed"]
    assert theirs.read_text() == "ours\n"
    driver()
    assert theirs.read_text() == "theirs\n"


def test_a_driver_that_goes_away_stops_the_run_between_two_resources(driver: Driver) -> None:
    run = driver.prepare(one=[A, B])
    run.channel.gone.set()
    run.apply()
    assert [event["status"] for event in driver.results] == ["skipped", "skipped"]
    assert driver.results[0]["summary"] == "the driver has gone"
    assert Thing.world == {}


# --- state ----------------------------------------------------------------------------------------


def test_the_record_of_a_secret_file_lacks_its_text(tmp_path: Path, driver: Driver) -> None:
    State(str(driver.folder)).record("one", File(str(tmp_path / "x"), "hunter2", secret=True))
    assert "hunter2" not in (driver.folder / "applied.json").read_text()
    assert (driver.folder / "applied.json").stat().st_mode & 0o777 == 0o600


def test_each_resource_is_a_line_of_its_own(driver: Driver) -> None:
    driver(one=[A, B])
    first, *lines, last = (driver.folder / "applied.json").read_text().splitlines()
    assert (first, last) == ('{"version": 1, "resources": [', "]}")
    assert [json.loads(line.rstrip(","))["id"] for line in lines] == [A.id, B.id]


def test_a_state_is_read_however_it_is_laid_out(driver: Driver) -> None:
    driver(one=[A, B])
    path = driver.folder / "applied.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))  # as older versions wrote it
    assert driver(one=[A]) == {"b": "removed"}


def test_a_state_of_another_version_is_refused(driver: Driver) -> None:
    driver.folder.mkdir()
    (driver.folder / "applied.json").write_text('{"version": 2}')
    with pytest.raises(Problem, match="another version of hubwright"):
        State(str(driver.folder))


def test_two_runs_at_once_are_refused_with_who_and_since_when(driver: Driver) -> None:  # noqa: ARG001
    State.lock()
    with pytest.raises(
        Problem, match=rf"another run holds the lock \(pid {os.getpid()}, since 20\d\d-.*Z\)"
    ) as caught:
        State.lock()
    assert "wait for it" in caught.value.hint


def test_a_lock_whose_file_was_taken_away_is_taken_again(driver: Driver) -> None:  # noqa: ARG001
    """The run that uninstalls removes the file; a run that waited for it must not hold a lock on nothing."""
    State.lock()
    Path(state.LOCK).unlink()
    State.lock()
    with Path(state.LOCK).open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
