"""apt's states: locks taken at any moment, sources and packages of others that fail, and the advice."""

from __future__ import annotations

import glob
import os
from types import SimpleNamespace

import pytest

from provision.agent.resources import AptPackages, Problem
from provision.agent.resources.apt import packages, words
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine, converge

LISTS_LOCKED = """\
Reading package lists...
E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1360 (python3)
E: Unable to lock directory /var/lib/apt/lists/
"""
BROKEN_SOURCE = """\
Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]
Err:5 http://vendor.example/apt nosuch Release
E: The repository 'http://vendor.example/apt nosuch Release' does not have a Release file.
"""
FAULTY = """\
dpkg: error processing package theirs (--configure):
 installed theirs package post-installation script subprocess returned error exit status 1
Errors were encountered while processing:
 theirs
 other-theirs
E: Sub-process /usr/bin/dpkg returned an error code (1)
"""


@pytest.mark.parametrize(
    ("output", "locked"),
    [
        (LISTS_LOCKED, True),
        (
            "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process",
            True,
        ),
        ("dpkg: error: dpkg frontend lock was locked by another process with pid 1366", True),
        (
            "E: Unable to lock the administration directory (/var/lib/dpkg/), is another process using it?",
            True,
        ),
        ("E: Unable to lock directory /var/cache/apt/archives/", True),
        (BROKEN_SOURCE, False),
    ],
)
def test_is_locked(output: str, locked: bool) -> None:
    assert words.is_locked(output) is locked


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        (
            "E: Release file for http://x/InRelease is not valid yet (invalid for another 258d 2h)",
            "clock is slow",
        ),
        ("Certificate verification failed: The certificate is NOT trusted. ", "clock"),
        (
            "E: Malformed entry 1 in list file /etc/apt/sources.list.d/x.list (Suite)",
            "correct or remove the file",
        ),
        ("E: Unable to correct problems, you have held broken packages.", "apt-mark showhold"),
        ("E: Unmet dependencies. Try 'apt --fix-broken install' with no packages", "--fix-broken install"),
        (FAULTY, "dpkg --configure -a"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "apt-get clean"),
        ("E: Unable to locate package docker.io", "universe"),
        (
            "  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)",
            "[downloads]",
        ),
        ("something new", ""),
    ],
)
def test_advice(output: str, hint: str) -> None:
    assert hint in words.advice(output)
    assert bool(words.advice(output)) is bool(hint)


def test_trouble_and_faulty_packages_are_named_once() -> None:
    warning = "W: Failed to fetch http://vendor.example/InRelease  Could not connect\n"
    assert words.trouble(BROKEN_SOURCE + 2 * warning) == [BROKEN_SOURCE.splitlines()[2], warning.strip()]
    assert words.trouble("W: Target Packages is configured multiple times\n") == []
    assert words.faulty(FAULTY) == ["theirs", "other-theirs"]
    assert words.faulty("E: no such list\n") == []


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10000))
    fast = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None, time=lambda: 1e9)
    monkeypatch.setattr(packages, "time", fast)


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("command", [("apt-get", "update"), ("apt-get", "install")])
def test_a_lock_that_is_taken_in_between_is_waited_for(host: Host, command: tuple[str, ...]) -> None:
    refusals = [1, 1]

    def answer() -> str:
        if refusals:
            refusals.pop()
            raise host.fails(LISTS_LOCKED, 100)
        host.scripted.clear()
        return host.run(host.commands[-1])

    host.script(*command, answer=answer)
    machine = FakeMachine(host, options={"apt_lock_wait": 300})
    assert converge(machine, AptPackages("x", ("docker.io",))) == ["install docker.io"]


@pytest.mark.usefixtures("no_pause")
def test_a_lock_is_not_waited_for_without_an_end(host: Host) -> None:
    host.script("apt-get", "install", answer=host.fails(LISTS_LOCKED, 100))
    with pytest.raises(Problem, match="Could not get lock"):
        AptPackages("x", ("docker.io",)).apply(FakeMachine(host, options={"apt_lock_wait": 30}))


def test_a_source_of_others_that_fails_stops_nothing_that_does_not_need_it(host: Host) -> None:
    host.script("apt-get", "update", answer=host.fails(BROKEN_SOURCE, 100))
    machine = FakeMachine(host)
    converge(machine, AptPackages("x", ("docker.io",)))
    (told,) = [line for line in machine.said if "vendor.example" in line]
    assert told.startswith("apt goes on without a source: E: The repository")


def test_a_package_that_no_source_has_is_told_with_the_sources_that_fail(host: Host) -> None:
    host.script("apt-get", "update", answer=host.fails(BROKEN_SOURCE, 100))
    host.script("apt-get", "install", answer=host.fails("E: Unable to locate package docker.io", 100))
    with pytest.raises(Problem, match=r"Unable to locate package docker.io") as caught:
        AptPackages("x", ("docker.io",)).apply(FakeMachine(host))
    assert "vendor.example/apt nosuch Release' does not have a Release file" in caught.value.what
    assert "universe" in caught.value.hint


def test_a_package_of_others_that_cannot_be_set_up_is_no_fault_of_ours(host: Host) -> None:
    def install() -> str:
        host.installed |= {"docker.io"}
        raise host.fails(FAULTY, 100)

    host.script("apt-get", "install", answer=install)
    host.script("apt-get", "install", "-qy", "--simulate", answer="Inst docker.io (1)\n")
    machine = FakeMachine(host)
    AptPackages("x", ("docker.io",)).apply(machine)
    assert "theirs, other-theirs" in machine.said[-1]


def test_a_removal_ends_well_when_only_packages_of_others_fail(host: Host) -> None:
    set_, machine = AptPackages("x", ("docker.io",)), FakeMachine(host)
    converge(machine, set_)

    def purge() -> str:
        if "--simulate" in host.commands[-1]:
            return ""
        host.installed -= {"docker.io", "containerd", "runc"}
        raise host.fails(FAULTY, 100)

    host.script("dpkg", "--force-confdef", answer=host.fails(FAULTY))
    host.script("apt-get", "purge", answer=purge)
    assert set_.remove(machine) is None


def test_a_held_package_is_an_installed_one(host: Host) -> None:
    host.script("dpkg-query", answer="hi \tdocker.io\n")
    assert AptPackages("x", ("docker.io",)).check(FakeMachine(host)) is None


@pytest.mark.parametrize(
    ("hook", "refused"), [("", True), ('DPkg::Pre-Invoke {"mount -o remount,rw /usr";};', False)]
)
def test_a_read_only_usr_is_told_by_a_plan(
    host: Host, monkeypatch: pytest.MonkeyPatch, hook: str, refused: bool
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    monkeypatch.setattr(glob, "glob", lambda _: ["hook"])
    monkeypatch.setattr(packages, "read_text", lambda _: hook)
    set_ = AptPackages("x", ("docker.io",))
    if refused:
        with pytest.raises(Problem, match="/usr is mounted read-only"):
            set_.check(FakeMachine(host))
    else:
        assert set_.check(FakeMachine(host)) is not None
