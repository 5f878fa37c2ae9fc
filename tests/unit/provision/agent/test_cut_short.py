"""What a run leaves when it is killed anywhere, and what the next one makes of it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import (
    AptPackages,
    DockerImage,
    File,
    JsonKeys,
    PythonEnv,
    Service,
    Timer,
    TrustedCertificate,
    fs,
)
from provision.agent.resources.certificates.trusted import BEGIN, is_doubled
from provision.agent.state import State
from tests.support.fakes.host import Host, theirs
from tests.support.fakes.machine import FakeMachine, converge, machine_for
from tests.support.fakes.things import Driver, Thing

PEM = f"{BEGIN} CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n"


class Killed(BaseException):
    """The end of a run, as SIGKILL makes it: nothing of the run goes on."""


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        (".hubwright-a1b2c3d4", True),
        (".hubwright-________", True),
        (".hubwright-candidate-own.py", True),
        (".hubwright-a1b2c3d", False),
        (".hubwright-A1B2C3D4", False),
        (".hubwright-notes.txt", False),
        ("a.hubwright-a1b2c3d4", False),
        ("hubwright-a1b2c3d4", False),
    ],
)
def test_only_unfinished_files_are_swept(tmp_path: Path, name: str, goes: bool) -> None:
    (tmp_path / name).write_text("a secret")
    assert fs.sweep([str(tmp_path), str(tmp_path / "not-there")]) == ([str(tmp_path / name)] if goes else [])
    assert (tmp_path / name).exists() != goes


def test_folders_and_what_links_lead_to_are_not_swept(tmp_path: Path) -> None:
    (tmp_path / ".hubwright-a1b2c3d4").mkdir()
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".hubwright-a1b2c3d5").symlink_to(tmp_path / "theirs")
    fs.sweep([str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hubwright-a1b2c3d4", "theirs"]


def test_a_file_is_on_the_disk_with_its_mode_before_its_name_and_the_name_before_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        mode = os.fstat(handle).st_mode
        steps.append("sync the folder" if stat.S_ISDIR(mode) else f"sync {stat.S_IMODE(mode):o}")
        sync(handle)

    def renamed(source: str, target: str) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    fs.write_atomically(str(tmp_path / "x"), "text", 0o640)
    fs.copy_atomically(str(tmp_path / "x"), str(tmp_path / "y"))
    assert steps == ["sync 640", "rename", "sync the folder"] * 2


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_syncs_no_folders_is_one_to_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: bool
) -> None:
    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    with pytest.raises(OSError, match="error") if fails else contextlib.nullcontext():
        fs.write_atomically(str(tmp_path / "x"), "text", 0o640)
    assert (tmp_path / "x").read_text() == "text"


def test_a_copy_is_like_what_it_is_of(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    (tmp_path / "x").chmod(0o4711)
    os.utime(tmp_path / "x", (1, 2))
    (tmp_path / "link").symlink_to("x")
    for name in ("x", "link"):
        fs.copy_atomically(str(tmp_path / name), str(tmp_path / f"{name}-2"))
    found = (tmp_path / "x-2").lstat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o4711, 2)
    assert str((tmp_path / "link-2").readlink()) == "x"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_of_others_is_never_gone_while_it_comes_back(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, machine = theirs(host, "/etc/x", "theirs\n"), FakeMachine(host)
    file = File(str(path), "ours\n")
    converge(machine, file)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(fs, "unlink", lambda _: None)
        with pytest.raises(Killed):
            file.remove(machine)
    assert path.read_text() == "ours\n"
    file.remove(machine)
    assert path.read_text() == "theirs\n"


# --- the next run ---------------------------------------------------------------------------------


def unfinished(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / ".hubwright-a1b2c3d4"
    found.write_text("a secret")
    return found


@pytest.mark.parametrize("still_wanted", [True, False])
def test_the_next_run_deletes_what_a_killed_one_did_not_finish(
    driver: Driver,
    tmp_path: Path,
    still_wanted: bool,
) -> None:
    wanted = JsonKeys(str(tmp_path / "theirs" / "x"), {"a": 1})
    driver(one=[wanted])
    left = [
        unfinished(tmp_path / "theirs"),
        unfinished(driver.folder),
        unfinished(driver.folder / "services"),
    ]
    other = unfinished(tmp_path / "elsewhere")
    driver(one=[wanted] if still_wanted else [])
    assert [path for path in left if path.exists()] == []
    assert other.exists()
    [said] = [
        event["text"] for event in driver.events if event["event"] == "say" and "cut short" in event["text"]
    ]
    assert str(left[0]) in said
    assert (tmp_path / "theirs").exists() == still_wanted, "the folder was made for it, and goes with it"


def test_a_plan_deletes_nothing(driver: Driver, tmp_path: Path) -> None:
    left = unfinished(tmp_path / "theirs")
    driver("plan", one=[JsonKeys(str(tmp_path / "theirs" / "x"), {"a": 1})])
    assert left.exists()


def test_no_image_is_made_of_a_machine_with_unfinished_files(
    driver: Driver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver(one=[JsonKeys(str(tmp_path / "theirs" / "x"), {"a": 1})])
    left = [unfinished(tmp_path / "theirs"), unfinished(driver.folder / "blobs")]
    monkeypatch.setattr("provision.agent.generalize.generalize", lambda *_: iter(()))
    driver.prepare().generalize([])
    assert [path for path in left if path.exists()] == []


@pytest.mark.parametrize(("behaviour", "kept"), [("", False), ("fails", True)])
def test_large_inputs_stay_for_the_run_that_goes_on_and_no_longer(
    driver: Driver,
    behaviour: str,
    kept: bool,
) -> None:
    driver(one=[Thing("a")])
    for path in ("blobs/0a", "blobs/0b.part", "conda/x", "sources/x"):
        (driver.folder / path).parent.mkdir(exist_ok=True)
        (driver.folder / path).write_text("375 MB")
    driver(one=[Thing("a"), Thing("b", behaviour=behaviour)])
    found = {
        path.name for folder in ("blobs", "conda", "sources") for path in driver.folder.glob(f"{folder}/*")
    }
    assert found == ({"0a", "0b.part", "x"} if kept else set())


def test_a_line_that_a_power_cut_has_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"changed": []}\n{"chan')
    State(str(tmp_path)).journal({"failed": ["x"]})
    assert json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[-1])["failed"] == ["x"]
    assert State(str(tmp_path)).last_run_failed()


# --- claims of what was there before --------------------------------------------------------------


def test_an_engine_that_a_killed_run_installed_was_not_there_before(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, service = AptPackages("docker", ("docker.io",)), Service("docker")
    machine = FakeMachine(host, (engine, service))
    install = Host._apt_get

    def installed_and_killed(self: Host, verb: str, *words: str) -> str:
        said = install(self, verb, *words)
        return said if verb != "install" or "--simulate" in words else killed()

    with monkeypatch.context() as patch:
        patch.setattr(Host, "_apt_get", installed_and_killed)
        with pytest.raises(Killed):
            engine.apply(machine)
    assert host.units["docker"].active == "active"
    machine.looks.clear()  # of another run
    converge(machine, engine, service)
    assert machine.claims(service)["was_active"] is False
    assert machine.claims(service)["was_enabled"] is False


def test_an_engine_that_ran_before_is_known_to_have_run(host: Host) -> None:
    host._apt_get("install", "docker.io")
    more, service = AptPackages("more", ("apparmor",)), Service("docker")
    machine = FakeMachine(host, (more, service))
    converge(machine, more, service)
    assert machine.claims(service)["was_active"] is True


# --- trusted certificates -------------------------------------------------------------------------


def bundle(*names: str) -> str:
    return "".join(f"{BEGIN} CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n" for name in names)


@pytest.mark.parametrize(
    ("text", "doubled"),
    [
        ("", False),
        ("the distribution's own\n", False),
        (bundle("a"), False),
        (bundle("a", "b", "c"), False),
        (bundle("a", "b", "c", "a"), False),  # an operator trusts one a second time
        (bundle("a", "b", "a", "b", "c"), True),
        (bundle("a", "b", "c", "a", "b", "c"), True),
        (bundle("a", "b")[:-40] + bundle("a", "b", "c"), True),
        (bundle("a", "x", "a", "b", "c"), True),  # the last one before the whole may be cut off
        (bundle("a", "b", "c", "a", "x", "c"), False),
    ],
)
def test_is_doubled(text: str, doubled: bool) -> None:
    assert is_doubled(text) == doubled


def test_an_unfinished_bundle_of_a_killed_update_is_not_added_to(host: Host) -> None:
    certificate, machine = TrustedCertificate("ca", PEM), FakeMachine(host)
    left = theirs(host, "/etc/ssl/certs/ca-certificates.crt.new", "half")
    converge(machine, certificate)
    assert not left.exists()
    assert host.ran("update-ca-certificates") == [["update-ca-certificates", "--fresh"]]


@pytest.mark.parametrize("verb", ["apply", "remove"])
def test_an_update_that_was_cut_short_is_made_again_with_its_links(host: Host, verb: str) -> None:
    certificate, machine = TrustedCertificate("ca", PEM), FakeMachine(host)

    def half() -> str:
        host._update_ca_certificates()  # the bundle is there, the links are not
        raise Killed

    host.script("update-ca-certificates", answer=half)
    with pytest.raises(Killed):
        certificate.apply(machine)
    host.scripted.clear()
    machine.looks.clear()
    if verb == "apply":
        change = certificate.check(machine)
        assert change is not None
        assert "an update of them was cut short" in change.summary
    host.commands.clear()
    converge(machine, certificate)
    assert host.ran("update-ca-certificates") == [["update-ca-certificates", "--fresh"]]
    assert certificate.check(machine) is None


def test_a_bundle_that_an_earlier_version_left_doubled_is_made_again(host: Host) -> None:
    certificate, machine = TrustedCertificate("ca", PEM), FakeMachine(host)
    converge(machine, certificate)
    theirs(host, "/etc/ssl/certs/ca-certificates.crt", bundle("a", "b", "a", "b") + PEM)
    machine.looks.clear()
    assert len(converge(machine, certificate)) == 1
    assert host.ran("update-ca-certificates")[-1] == ["update-ca-certificates", "--fresh"]


# --- units and environments -----------------------------------------------------------------------


def ends_at(host: Host, *prefix: str) -> Callable[[], None]:
    host.script(*prefix, answer=killed)
    return host.scripted.clear


def test_a_timer_whose_change_was_cut_short_is_started_again(host: Host) -> None:
    old, new = (Timer("x", f"[Timer]\nOnCalendar={when}\n", "[Service]\n") for when in ("daily", "hourly"))
    machine = FakeMachine(host)
    converge(machine, old)
    go_on = ends_at(host, "systemctl", "daemon-reload")
    with pytest.raises(Killed):
        new.apply(machine)
    go_on()
    machine.looks.clear()
    assert converge(machine, new) == ["start the timer x again: a change of it was cut short"]
    assert converge(machine, new) == []


def test_a_unit_that_systemd_has_forgotten_is_started(host: Host) -> None:
    """A killed run has enabled it; systemd unloads a unit that nothing needs, and then does not know it."""
    host.script("systemctl", "reset-failed", answer=host.fails("Unit x.service not loaded."))
    converge(FakeMachine(host), Service("x", "[Service]\nExecStart=/x\n"))
    assert host.units["x"].active == "active"


@pytest.mark.parametrize("moment", ["symlink", "replace"])
def test_an_environment_is_switched_and_old_ones_go_though_a_run_was_killed(
    host: Host, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    machine, root = FakeMachine(host), host.path("/opt/ours")
    for number in range(2):
        converge(machine, PythonEnv(root, f"a=={number}\n", "uv==1"))
    wanted, step = PythonEnv(root, "a==2\n", "uv==1"), getattr(os, moment)

    def steps_and_is_killed(source: str, target: str) -> None:
        step(source, target)
        if "/current" in target:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, steps_and_is_killed)
        with pytest.raises(Killed):
            wanted.apply(machine)
    assert len(converge(machine, wanted)) == 1
    assert str(Path(f"{root}/current").readlink()) == f"{root}/envs/{wanted.digest}"
    assert len(list(Path(f"{root}/envs").iterdir())) == 2
    assert not os.path.lexists(f"{root}/current.new")


def test_uv_is_on_the_disk_before_its_lock_says_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    root, seen = host.path("/opt/ours"), []
    monkeypatch.setattr(os, "sync", lambda: seen.append(Path(f"{root}/installer/requirements.txt").exists()))
    converge(FakeMachine(host), PythonEnv(root, "a==1\n", "uv==1"))
    assert seen == [False, True]


def test_names_of_an_archive_s_image_go_though_a_run_was_killed_before(host: Host) -> None:
    image = DockerImage("ours:1", archive="0b" * 32)
    machine = machine_for(host, image)
    host.script("docker", "image", "rm", answer=killed)
    with pytest.raises(Killed):
        image.apply(machine)
    assert host.images == {"ours:1", "their/image:1"}
    host.scripted.clear()
    machine.looks.clear()
    assert converge(machine, image) == ["take other names off the image ours:1: their/image:1"]
    assert host.images == {"ours:1"}
    assert len(host.ran("docker", "load")) == 1
