"""Files, directories, secrets and keys of JSON files are made, given back, and else never touched."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import Directory, File, GeneratedSecret, JsonKeys, Problem, Resource
from tests.support.fakes.host import Host, theirs
from tests.support.fakes.machine import FakeMachine, converge


def test_a_file_that_was_there_comes_back_as_it_was(host: Host) -> None:
    path = theirs(host, "/etc/x", "theirs\n", 0o604)
    machine = FakeMachine(host)
    for text in ("ours\n", "ours, second edition\n"):
        converge(machine, File(str(path), text, mode=0o600))
    File(str(path), "").remove(machine)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("theirs\n", 0o604)


def test_a_file_that_was_right_already_stays(host: Host) -> None:
    path = theirs(host, "/etc/x", "same\n")
    file, machine = File(str(path), "same\n"), FakeMachine(host)
    assert converge(machine, file) == []
    file.remove(machine)
    assert path.exists()


def test_a_link_is_replaced_and_what_it_led_to_is_not_touched(host: Host) -> None:
    target = theirs(host, "/etc/target", "theirs\n")
    link = Path(host.path("/etc/x"))
    link.symlink_to(target)
    machine, file = FakeMachine(host), File(str(link), "ours\n")
    converge(machine, file)
    assert (link.is_symlink(), link.read_text(), target.read_text()) == (False, "ours\n", "theirs\n")
    file.remove(machine)
    assert link.is_symlink()


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        (lambda path: path.chmod(0o666), "set {path} to root:root 0640 (is root:root 0666)"),
        (lambda path: os.chown(path, 65534, 1), "set {path} to root:root 0640 (is nobody:nobody 0640)"),
        (lambda path: path.write_text("x"), "change {path}"),
        (lambda path: path.unlink(), "create {path} (root:root 0640)"),
    ],
)
def test_drift_of_a_file_is_seen_and_mended(host: Host, change: Callable[[Path], None], summary: str) -> None:
    file, machine = File(host.path("/etc/x"), "ours\n", mode=0o640), FakeMachine(host)
    converge(machine, file)
    change(Path(file.path))
    assert converge(machine, file) == [summary.format(path=file.path)]


def test_a_diff_shows_what_changes_and_never_a_secret(host: Host) -> None:
    theirs(host, "/etc/x", "old = 1\n")
    shown = File(host.path("/etc/x"), "new = 2\n").check(FakeMachine(host))
    hidden = File(host.path("/etc/x"), "new = 2\n", secret=True).check(FakeMachine(host))
    missing = File(host.path("/etc/y"), "new = 2\n", secret=True).check(FakeMachine(host))
    assert shown is not None
    assert {"-old = 1", "+new = 2"} <= set(shown.diff.splitlines())
    assert hidden is not None
    assert missing is not None
    assert "new" not in hidden.diff + hidden.summary + missing.diff + missing.summary


def test_a_long_diff_is_cut(host: Host) -> None:
    change = File(host.path("/etc/x"), "line\n" * 500).check(FakeMachine(host))
    assert change is not None
    assert len(change.diff.splitlines()) == 61
    assert change.diff.endswith("… 443 more lines")


def test_a_full_disk_leaves_the_old_file_whole(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    path = theirs(host, "/etc/x", "theirs\n")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        File(str(path), "ours\n").apply(FakeMachine(host))
    assert path.read_text() == "theirs\n"
    assert [entry.name for entry in path.parent.glob(".hubwright*")] == []


@pytest.mark.parametrize(
    ("purge", "left_in_it", "stays"), [(False, False, False), (False, True, True), (True, True, False)]
)
def test_a_directory_goes_when_it_is_empty_or_may_be_purged(
    host: Host, purge: bool, left_in_it: bool, stays: bool
) -> None:
    directory, machine = Directory(host.path("/opt/a/b/c"), purge=purge), FakeMachine(host)
    converge(machine, directory)
    if left_in_it:
        (Path(directory.path) / "file").write_text("x")
    directory.remove(machine)
    assert Path(host.path("/opt/a")).exists() is stays
    assert Path(host.path("/opt")).exists()


def test_a_directory_that_was_there_stays(host: Host) -> None:
    path = Path(host.path("/opt/theirs"))
    path.mkdir(mode=0o700)
    directory, machine = Directory(str(path), purge=True), FakeMachine(host)
    assert converge(machine, directory) == [f"set {path} to root:root 0755 (is root:root 0700)"]
    directory.remove(machine)
    assert path.exists()


def test_parents_that_an_earlier_run_made_go_too(host: Host) -> None:
    directory, machine = Directory(host.path("/opt/a/b")), FakeMachine(host)
    converge(machine, directory)
    Path(directory.path).rmdir()
    converge(machine, directory)
    directory.remove(machine)
    assert not Path(host.path("/opt/a")).exists()


def test_a_file_in_the_place_of_a_directory_is_a_problem(host: Host) -> None:
    theirs(host, "/opt/x", "")
    with pytest.raises(Problem, match="is not a directory"):
        Directory(host.path("/opt/x")).check(FakeMachine(host))


def test_a_secret_is_made_once_and_made_anew_when_it_is_lost(host: Host) -> None:
    secret, machine = GeneratedSecret(host.path("/etc/token"), "TOKEN"), FakeMachine(host)
    path = Path(secret.path)
    converge(machine, secret)
    first, stamp = path.read_text(), secret.stamp(machine)
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.startswith("TOKEN=")
    assert len(first) == 6 + 64 + 1
    path.chmod(0o644)
    assert len(converge(machine, secret)) == 1
    assert (path.read_text(), secret.stamp(machine)) == (first, stamp)
    path.write_text("")
    assert len(converge(machine, secret)) == 1
    assert path.read_text() != first
    assert secret.stamp(machine) != stamp
    assert first.strip() not in json.dumps([secret.record(), machine.known, machine.said, stamp])


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [
        (None, {"a": 1, "b": {"c": 2}}, None),
        ({}, {"a": 1, "b": {"c": 2}}, {}),
        ({"z": 9}, {"a": 1, "b": {"c": 2}, "z": 9}, {"z": 9}),
        ({"a": 0, "b": {"x": 1}, "z": 9}, {"a": 1, "b": {"c": 2}, "z": 9}, {"a": 0, "b": {"x": 1}, "z": 9}),
    ],
)
def test_other_keys_of_a_json_file_stay(host: Host, before: Any, during: Any, after: Any) -> None:
    path = Path(host.path("/etc/docker/daemon.json"))
    if before is not None:
        theirs(host, "/etc/docker/daemon.json", json.dumps(before))
    keys, machine = JsonKeys(str(path), {"a": 1, "b": {"c": 2}}), FakeMachine(host)
    converge(machine, keys)
    assert json.loads(path.read_text()) == during
    keys.remove(machine)
    assert (json.loads(path.read_text()) if path.exists() else None) == after
    assert path.parent.exists() is (before is not None)


def test_a_json_file_of_others_keeps_its_mode(host: Host) -> None:
    path = theirs(host, "/etc/d.json", "{}", 0o600)
    keys, machine = JsonKeys(str(path), {"a": 1}), FakeMachine(host)
    converge(machine, keys)
    assert path.stat().st_mode & 0o777 == 0o600
    keys.remove(machine)
    assert path.stat().st_mode & 0o777 == 0o600


def test_keys_that_others_add_later_survive_the_removal(host: Host) -> None:
    keys, machine = JsonKeys(host.path("/etc/d.json"), {"a": 1}), FakeMachine(host)
    converge(machine, keys)
    Path(keys.path).write_text('{"a": 1, "later": 2}')
    keys.remove(machine)
    assert json.loads(Path(keys.path).read_text()) == {"later": 2}


def test_a_key_that_is_wanted_no_longer_goes_back_to_what_it_was(host: Host) -> None:
    theirs(host, "/etc/d.json", '{"a": "theirs", "z": 9}')
    machine, path = FakeMachine(host), host.path("/etc/d.json")

    def present() -> Any:
        return json.loads(Path(path).read_text())

    converge(machine, JsonKeys(path, {"a": 1, "b": 2}))
    converge(machine, JsonKeys(path, {"b": 2, "c": 3}))
    assert present() == {"a": "theirs", "b": 2, "c": 3, "z": 9}
    Path(path).write_text('{"a": "newer", "b": 2, "c": 3, "z": 9}')
    converge(machine, JsonKeys(path, {"a": 1, "c": 3}))
    assert present() == {"a": 1, "c": 3, "z": 9}
    JsonKeys(path, {"a": 1, "c": 3}).remove(machine)
    assert present() == {"a": "newer", "z": 9}


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_keys_of_a_run_that_was_cut_short_go_back_too(
    host: Host, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """`moment`: the claim at which the power fails."""
    theirs(host, "/etc/d.json", '{"a": "theirs"}')
    machine, path = FakeMachine(host), host.path("/etc/d.json")
    converge(machine, JsonKeys(path, {"b": 2}))
    claim, seen = machine.claim, []

    def cut(resource: Resource, **facts: Any) -> None:
        seen.append(resource)
        if len(seen) == moment:
            raise KeyboardInterrupt
        claim(resource, **facts)

    monkeypatch.setattr(machine, "claim", cut)
    with contextlib.suppress(KeyboardInterrupt):
        JsonKeys(path, {"a": 1}).apply(machine)
    monkeypatch.undo()
    converge(machine, JsonKeys(path, {"a": 1}))
    assert json.loads(Path(path).read_text()) == {"a": 1}
    JsonKeys(path, {"a": 1}).remove(machine)
    assert json.loads(Path(path).read_text()) == {"a": "theirs"}


@pytest.mark.parametrize("before", [{}, {"b": "theirs"}, {"a": 0, "b": "theirs", "z": 9}])
def test_a_key_that_is_given_up_goes_back_and_the_rest_stays_ours(host: Host, before: Any) -> None:
    path = theirs(host, "/etc/d.json", json.dumps(before))
    machine = FakeMachine(host)
    converge(machine, JsonKeys(str(path), {"a": 1}))
    converge(machine, JsonKeys(str(path), {"a": 1, "b": 2}))
    assert json.loads(path.read_text()) == {**before, "a": 1, "b": 2}
    last = JsonKeys(str(path), {"a": 1})
    assert converge(machine, last) == [f"give back b in {path}"]
    assert json.loads(path.read_text()) == {**before, "a": 1}
    assert converge(machine, last) == []
    last.remove(machine)
    assert json.loads(path.read_text()) == before


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "not valid JSON"), ("[1]", "does not hold a JSON object")]
)
def test_a_broken_json_file_is_a_problem_and_stays(host: Host, text: str, reason: str) -> None:
    path = theirs(host, "/etc/d.json", text)
    with pytest.raises(Problem, match=reason):
        JsonKeys(str(path), {"a": 1}).check(FakeMachine(host))
    assert path.read_text() == text
