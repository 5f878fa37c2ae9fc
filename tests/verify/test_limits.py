"""A visitor's container has the limits of the settings, and the kernel enforces them."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.settings import Settings
from tests.verify.conftest import Probes, Visitor

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
KILLED = 137
MARGIN = 128 << 20
PERIOD = 0.2  # seconds; for shorter times the kernel grants processor time in advance


def in_force(host: Host, visitor: Visitor, new: str, old: str) -> str:
    """A value of the container's control group as seen inside, by its paths in cgroup version 2 and 1."""
    script = f"cat /sys/fs/cgroup/{new} 2>/dev/null || cat /sys/fs/cgroup/{old}"
    return str(host.check_output("docker exec %s sh -c %s", visitor.id, script))


def test_memory_limit_is_in_force(host: Host, visitor: Visitor, settings: Settings) -> None:
    limit = in_force(host, visitor, "memory.max", "memory/memory.limit_in_bytes")
    assert int(limit) == settings.server.memory // 4096 * 4096


def test_memory_beyond_the_limit_kills(
    host: Host, probes: Probes, another_visitor: Visitor, settings: Settings
) -> None:
    wanted = settings.server.memory + MARGIN
    free = int(host.check_output("awk '/^MemAvailable/ {print $2}' /proc/meminfo")) * 1024
    if free < wanted + MARGIN:
        pytest.skip(f"the host has {free >> 20} MiB left: filling {wanted >> 20} would disturb others")
    done = probes.run_in_container(another_visitor.id, "fill_memory", wanted)
    assert done.rc == KILLED, f"{done.stdout} bytes could be had"


def test_memory_within_the_limit_can_be_had(
    probes: Probes, another_visitor: Visitor, settings: Settings
) -> None:
    wanted = min(settings.server.memory // 4, 1 << 30)
    assert probes.in_container(another_visitor.id, "fill_memory", wanted) >= wanted


def test_cpu_limit_is_in_force(host: Host, visitor: Visitor, settings: Settings) -> None:
    found = in_force(host, visitor, "cpu.max", "cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us")
    quota, period = map(int, found.split())
    assert quota / period == pytest.approx(settings.server.cpu, abs=0.01)


def test_cpu_beyond_the_limit_cannot_be_had(
    host: Host, probes: Probes, visitor: Visitor, settings: Settings
) -> None:
    cores = int(host.check_output("nproc"))
    if cores <= settings.server.cpu:
        pytest.skip(f"the host has no more cores than one server may use: {cores}")
    used, passed = probes.in_container(visitor.id, "spin", cores)
    assert used <= settings.server.cpu * (passed + PERIOD)


def test_processes_beyond_the_limit_are_refused(probes: Probes, visitor: Visitor, settings: Settings) -> None:
    started = probes.in_container(visitor.id, "fork", settings.server.pids + 16)
    assert settings.server.pids // 2 < started < settings.server.pids


def test_file_beyond_the_limit_is_refused(probes: Probes, visitor: Visitor, settings: Settings) -> None:
    limit = settings.server.disk
    if not limit:
        pytest.skip("the settings let a server write as much as it likes")
    assert probes.in_container(visitor.id, "grow", limit // 2, limit + 1) == [True, False]


def test_server_has_no_privileges(host: Host, visitor: Visitor) -> None:
    text = host.check_output("docker exec %s cat /proc/1/status", visitor.id)
    status = dict(line.split(":", 1) for line in text.splitlines())
    assert status["Uid"].split() == ["1000"] * 4
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd")} == {0}
    assert status["NoNewPrivs"].strip() == "1"


def test_root_in_the_container_has_no_privileges(host: Host, visitor: Visitor) -> None:
    done = host.run("docker exec --user 0 %s chown 0 /home/jovyan", visitor.id)
    assert done.rc != 0
    assert "not permitted" in done.stderr


def test_container_sees_nothing_of_the_host(host: Host, visitor: Visitor, settings: Settings) -> None:
    """Except for the CA certificates that it has to trust, which it cannot change."""
    mounts = [(mount["Destination"], mount["RW"]) for mount in visitor.container["Mounts"]]
    wanted = settings.downloads.notebooks and settings.downloads.ca_certificates
    assert mounts == ([(AUTHORITIES, False)] if wanted else [])
    for path in ("/var/run/docker.sock", "/etc/jupyterhub", "/opt/hubwright"):
        assert host.run("docker exec %s test -e %s", visitor.id, path).rc == 1
