"""apt as hosts have it: locks that come and go, packages and sources of others, a clock and file systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.hosts.containers import Host, bare_host
from tests.support.hosts.logins import install
from tests.support.operators import Done, Operator

PACKAGE = "python3-venv"  # all that the role python installs
# Takes a lock, lets go of it for a moment, takes it again: as several runs of apt of other people do.
TAKER = """
import fcntl, sys, time
for _ in range(4):
    file = open(sys.argv[1], "w")
    fcntl.lockf(file, fcntl.LOCK_EX)
    time.sleep(1.5)
    file.close()
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-apt") as host:
        install(host, "faketime")
        yield host


@pytest.fixture
def without(host: Host) -> None:
    """The host without the package and without package lists: a run has to read them."""
    host.run(f"""
        apt-mark unhold {PACKAGE} >/dev/null 2>&1 || true
        dpkg --purge {PACKAGE} >/dev/null 2>&1
        rm -rf /var/lib/apt/lists/*
    """)


def apply(operator: Operator, host: Host, *, code: int = 0) -> Done:
    there = ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
    with operator.changed(python={"provider": "system"}):
        return operator.hubwright("--verbose", "apply", "--only", "python", *there, code=code)


def has(host: Host) -> bool:
    return host.succeeds(f"dpkg-query -W -f '${{db:Status-Abbrev}}' {PACKAGE} | grep -q '^.i $'")


@contextmanager
def source(host: Host, line: str) -> Iterator[None]:
    host.run(f"echo '{line}' >/etc/apt/sources.list.d/theirs.list")
    try:
        yield
    finally:
        host.run("rm /etc/apt/sources.list.d/theirs.list")


@contextmanager
def theirs(host: Host, script: str, depends: str = "base-files") -> Iterator[None]:
    """A package of others, unpacked, whose own script is this."""
    control = "Package: theirs\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@b.example>\\n"
    control += "Description: of others\\n"
    host.run(f"""
        mkdir -p /root/theirs/DEBIAN
        printf '{control}Depends: {depends}\\n' >/root/theirs/DEBIAN/control
        printf '#!/bin/sh\\n{script}\\n' >/root/theirs/DEBIAN/postinst
        chmod 0755 /root/theirs/DEBIAN/postinst
        dpkg-deb --build /root/theirs /root/theirs.deb >/dev/null
        dpkg --unpack --force-depends /root/theirs.deb >/dev/null 2>&1
    """)
    try:
        yield
    finally:
        host.run("dpkg --purge --force-all theirs >/dev/null 2>&1")


@pytest.mark.parametrize("path", ["/usr", "/opt"])
def test_a_read_only_file_system_is_told_by_a_plan(operator: Operator, host: Host, path: str) -> None:
    """The first tests, while the host has nothing of a hub."""
    host.run(f"mount --bind {path} {path}; mount -o remount,bind,ro {path}")
    there = ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
    try:
        operator.hubwright("plan", "--only", "python", *there, code=1).says(f"{path} is mounted read-only")
    finally:
        host.run(f"umount --lazy {path}")


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize(
    "lock", [pytest.param("/var/lib/apt/lists/lock", marks=pytest.mark.full), "/var/lib/dpkg/lock-frontend"]
)
def test_a_lock_that_others_take_between_two_steps_is_waited_for(
    operator: Operator, host: Host, lock: str
) -> None:
    host.run(f"cat >/root/taker.py <<'END'\n{TAKER}\nEND")
    host.run(
        f"mkdir -p /var/lib/apt/lists; systemd-run --quiet --unit=taker python3 /root/taker.py {lock} 0.7"
    )
    try:
        done = apply(operator, host)
    finally:
        host.run("systemctl stop taker || true")
    assert has(host), done


@pytest.mark.usefixtures("without")
def test_a_source_of_others_that_fails_is_told_and_stops_nothing(operator: Operator, host: Host) -> None:
    with source(host, "deb http://127.0.0.1:9/vendor nosuch main"):
        done = apply(operator, host)
    assert has(host)
    assert "apt goes on without a source" in done.err
    assert "127.0.0.1:9/vendor" in done.err


@pytest.mark.usefixtures("without")
def test_a_source_that_apt_cannot_read_is_named(operator: Operator, host: Host) -> None:
    with source(host, "deb nonsense"):
        apply(operator, host, code=1).says(
            "Malformed entry 1 in list file", "theirs.list", "correct or remove"
        )
    assert not has(host)


@pytest.mark.usefixtures("without")
def test_a_package_of_others_that_cannot_be_set_up_is_not_in_the_way(operator: Operator, host: Host) -> None:
    with theirs(host, "exit 1"):
        done = apply(operator, host)
        assert has(host)
        assert "theirs" in done.err


@pytest.mark.full
@pytest.mark.usefixtures("without")
def test_a_package_of_others_that_lacks_something_is_named(operator: Operator, host: Host) -> None:
    with theirs(host, "exit 0", depends="no-such-package"):
        apply(operator, host, code=1).says("theirs : Depends: no-such-package", "--fix-broken install")


@pytest.mark.full
@pytest.mark.usefixtures("without")
def test_held_packages(operator: Operator, host: Host) -> None:
    """One that is there counts; one that is not to be installed is told in apt's words."""
    host.run(f"apt-get update -qq; apt-mark hold {PACKAGE} >/dev/null")
    apply(operator, host, code=1).says("Held packages were changed", "apt-mark unhold")
    host.run(f"apt-mark unhold {PACKAGE} >/dev/null")
    apply(operator, host)
    host.run(f"apt-mark hold {PACKAGE} >/dev/null")
    assert "0 changed" in apply(operator, host).err


@pytest.mark.usefixtures("without")
def test_a_clock_that_is_wrong_is_named(operator: Operator, host: Host) -> None:
    host.run("""
        printf '#!/bin/sh\\nexec faketime -f -400d /usr/bin/apt-get "$@"\\n' >/usr/local/sbin/apt-get
        chmod +x /usr/local/sbin/apt-get
    """)
    try:
        apply(operator, host, code=1).says("is not valid yet", "the host's clock is slow", "timedatectl")
    finally:
        host.run("rm /usr/local/sbin/apt-get")


@pytest.mark.full
@pytest.mark.usefixtures("without")
def test_temporary_folders_may_be_small_and_run_no_programs(operator: Operator, host: Host) -> None:
    host.run("for at in /tmp /var/tmp; do mount -t tmpfs -o size=1m,noexec,nosuid,nodev tmpfs $at; done")
    try:
        host.run("rm -rf /opt/hubwright")
        apply(operator, host)
    finally:
        host.run("umount --lazy /tmp /var/tmp")
    assert host.succeeds("/opt/hubwright/current/bin/python3 -c 'import jupyterhub'")
