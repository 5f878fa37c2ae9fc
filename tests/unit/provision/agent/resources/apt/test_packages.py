"""Packages: those missing, those that came with others, and apt's everyday failures."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision.agent.distributions import Distribution
from provision.agent.resources import AptPackages, Problem
from provision.agent.resources.apt import packages
from provision.agent.resources.apt.packages import parse_dpkg, parse_lock_holder, parse_simulation
from tests.support.fakes.host import Host, theirs
from tests.support.fakes.machine import FakeMachine, converge


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", set()),
        ("ii \tbash\nii \tlibc6\n", {"bash", "libc6"}),
        ("iF \thalf\nrc \tgone\nun \tnever\nhn \theld\niHR\tbroken\n", set()),
        ("hi \theld\nri \tto-go\n", {"held", "to-go"}),
        ("no tab here\n", set()),
    ],
)
def test_parse_dpkg(text: str, names: set[str]) -> None:
    assert parse_dpkg(text) == names


def test_parse_dpkg_knows_what_is_there_in_part() -> None:
    text = "ii \tbash\niF \thalf\nrc \tgone\nun \tnever\n"
    assert parse_dpkg(text, complete=False) == {"bash", "half", "gone"}


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
    machine.invalidate("dpkg")
    packages_.remove(machine)
    simulated, purge = host.ran("apt-get", "purge")
    assert "--simulate" in simulated
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


def test_all_stays_while_somebody_uses_it(host: Host) -> None:
    data = Path(host.path("/etc/letsencrypt"))
    set_ = AptPackages("x", ("certbot",), data=(str(data),), in_use=(f"{data}/renewal/*.conf",))
    machine = FakeMachine(host)
    converge(machine, set_)
    renewal = theirs(host, "/etc/letsencrypt/renewal/theirs.conf", "")
    assert set_.remove(machine) == f"they are in use, by {renewal}"
    assert renewal.exists()
    assert host.ran("apt-get", "purge") == []
    renewal.unlink()
    assert set_.remove(machine) is None
    assert "certbot" not in host.installed
    assert not data.exists()


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
            ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"],
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

    host.script("dpkg", answer="")
    host.script("apt-get", "install", answer=once)
    set_.apply(machine)
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


def test_an_installation_that_would_remove_somebody_s_packages_is_refused_by_a_plan(host: Host) -> None:
    set_, machine = AptPackages("x", ("docker.io",)), FakeMachine(host)
    said = "Remv docker-ce [5:27] [other:amd64 ]\nRemv containerd.io:amd64 [1.7]\nInst docker.io (20)\n"
    host.script("apt-get", "install", answer=said)
    with pytest.raises(Problem, match=r"apt would remove containerd.io, docker-ce to install docker.io"):
        set_.check(machine)
    with pytest.raises(Problem, match=r"apt would remove containerd.io, docker-ce"):
        set_.apply(machine)
    assert all("--simulate" in argv for argv in host.ran("apt-get", "install"))
    assert machine.claims(set_) == {}


def test_the_installation_itself_may_remove_nothing(host: Host) -> None:
    converge(FakeMachine(host), AptPackages("x", ("docker.io",)))
    assert "--no-remove" in host.ran("apt-get", "install")[-1]


def test_packages_stay_while_those_of_others_need_them(host: Host) -> None:
    set_, machine = AptPackages("x", ("docker.io",)), FakeMachine(host)
    converge(machine, set_)
    host.script(
        "apt-get", "purge", "-qy", "--simulate", answer="Purg docker.io [1]\nRemv docker-compose [1]\n"
    )
    assert set_.remove(machine) == "packages of others need them: docker-compose"
    assert "docker.io" in host.installed
