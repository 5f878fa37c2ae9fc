"""Docker as other people have set it up: asked before a change, and left with all that ran.

Engines, packages and words are real. The tests tell one story on one host and stand in its order: first it
has half an engine, then the distribution's with containers of its administrator's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.hosts.containers import Host, bare_host, docker
from tests.support.hosts.templates import QUICK
from tests.support.operators import Done, Operator

SETTINGS = "/etc/docker/daemon.json"
MIRROR = "http://127.0.0.1:5000"
# As Docker's own repository has it: it takes the place of the distribution's containerd and runc.
CONTAINERD_IO = """
mkdir -p /tmp/deb/DEBIAN
cat >/tmp/deb/DEBIAN/control <<'END'
Package: containerd.io
Version: 1.7.27-1
Architecture: all
Maintainer: Test <test@example.org>
Provides: containerd, runc
Conflicts: containerd, runc
Replaces: containerd, runc
Description: half of an engine
END
dpkg-deb --build /tmp/deb /tmp/containerd.io.deb >/dev/null
dpkg --install /tmp/containerd.io.deb >/dev/null
rm -r /tmp/deb /tmp/containerd.io.deb
"""
# An image with one program, and two containers: one that nothing starts again, one that Docker does.
CONTAINERS = """
apt-get install -qq --no-install-recommends docker.io >/dev/null 2>&1
cd /
tar --dereference --create bin/sleep $(ldd /bin/sleep | grep --only-matching '/lib[^ ]*') 2>/dev/null |
    docker import --change 'CMD ["sleep", "86400"]' - theirs >/dev/null
docker run --detach --stop-timeout=1 --name=plain theirs >/dev/null
docker run --detach --stop-timeout=1 --restart=always --name=always theirs >/dev/null
"""
REFUSES = """
mkdir -p /etc/systemd/system/docker.service.d
cat >/etc/systemd/system/docker.service.d/theirs.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c '! grep -s live-restore /etc/docker/daemon.json || { echo must not be on; exit 1; }'
END
systemctl daemon-reload
"""


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    # Certificates would have the engine restarted in any case. No test comes to the image.
    image = {"reference": f"registry.example/theirs@sha256:{'0a' * 32}"}
    operator.write({**operator.hub, **QUICK, "image": image})
    with (
        operator.on_site(downloads={"ca_certificates": [], "registries": [MIRROR]}),
        bare_host(operator, f"{operator.hub['vm']['name']}-engine") as host,
    ):
        host.run("apt-get update -qq")
        yield host
    operator.write(operator.hub)


@pytest.fixture(scope="module")
def engine(host: Host) -> Host:
    host.run(CONTAINERS)
    return host


@contextmanager
def theirs(host: Host, path: str, text: str, then: str = "true", afterwards: str = "true") -> Iterator[None]:
    """A file of the host's administrator, with a command after it is written and one after it is gone."""
    host.run(f"mkdir -p $(dirname {path}); cat >{path} <<'END'\n{text}\nEND\n{then}")
    try:
        yield
    finally:
        host.run(f"rm -f {path}; {afterwards}")


def plan(operator: Operator, there: tuple[str, ...], code: int = 3) -> Done:
    return operator.hubwright("plan", *there, "--only", "docker", code=code)


def apply(operator: Operator, there: tuple[str, ...], code: int = 0) -> Done:
    return operator.hubwright("apply", *there, "--only", "docker", code=code)


def running(host: Host) -> set[str]:
    return set(host.run("docker ps --format '{{.Names}}'").split())


def started(host: Host) -> str:
    return host.run("docker inspect --format '{{.State.StartedAt}}' plain always")


def told(host: Host, form: str) -> str:
    return host.run(f"docker info --format '{form}'").strip()


def same_as_before(host: Host) -> None:
    """Their containers run, their settings hold, and the engine would come up again."""
    assert running(host) >= {"plain", "always"}
    assert told(host, "{{.LiveRestoreEnabled}} {{.RegistryConfig.Mirrors}}") == "false []"
    assert not host.succeeds(f"test -e {SETTINGS}")
    assert host.run("systemctl is-failed docker docker.socket || true").split() == ["active", "active"]


def test_half_an_engine_is_not_replaced(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    host.run(CONTAINERD_IO)
    try:
        plan(operator, there, code=1).says("apt would remove containerd.io to install", "docker.io")
        apply(operator, there, code=1).says("apt would remove containerd.io")
        assert host.run("dpkg-query --show --showformat='${db:Status-Status}' containerd.io") == "installed"
        operator.hubwright("destroy", *there, "--yes")
    finally:
        host.run("dpkg --purge containerd.io >/dev/null")


def test_a_swarm_goes_on(operator: Operator, engine: Host, there: tuple[str, ...]) -> None:
    engine.run("docker swarm init --advertise-addr 127.0.0.1 >/dev/null")
    try:
        done = plan(operator, there)
        assert "live-restore is left out: the engine is part of a swarm" in done.err
        assert "2 containers stop for it and are started again" in done.err
        apply(operator, there)
        assert json.loads(engine.run(f"cat {SETTINGS}")) == {"registry-mirrors": [MIRROR]}
        assert told(engine, "{{.Swarm.LocalNodeState}} {{.RegistryConfig.Mirrors}}") == f"active [{MIRROR}/]"
        assert running(engine) == {"plain", "always"}
        assert apply(operator, there).unchanged
        operator.hubwright("destroy", *there, "--yes")
        assert told(engine, "{{.Swarm.LocalNodeState}}") == "active"
        same_as_before(engine)
    finally:
        engine.run("docker swarm leave --force >/dev/null")


def test_the_command_line_of_the_engine_comes_first(
    operator: Operator, engine: Host, there: tuple[str, ...]
) -> None:
    options = 'DOCKER_OPTS="--log-driver=journald --live-restore=false --registry-mirror=http://10.9.9.9"'
    again = "systemctl restart docker; docker start plain >/dev/null"
    before = engine.run("cat /etc/default/docker")
    with theirs(engine, "/etc/default/docker", options, again):
        said = plan(operator, there, code=1)
        said.says("registry-mirrors cannot be set", "--registry-mirror=http://10.9.9.9 on its command line")
        assert not engine.succeeds(f"test -e {SETTINGS}")
        with operator.on_site(downloads={"registries": []}):
            moments = started(engine)
            apply(operator, there)
            assert apply(operator, there).unchanged
        assert started(engine) == moments, "nothing of ours needs a restart"
        assert told(engine, "{{.LoggingDriver}}") == "journald"
        assert engine.succeeds("systemctl restart docker && docker start plain")
        operator.hubwright("destroy", *there, "--yes")
    engine.run(f"cat >/etc/default/docker <<'END'\n{before}END\n{again}")
    same_as_before(engine)


def test_an_engine_that_refuses_its_file_runs_on(
    operator: Operator, engine: Host, there: tuple[str, ...]
) -> None:
    """A key was misspelt after the engine had started; engines before Docker 23 notice at a reload only."""
    with theirs(engine, SETTINGS, '{"log-drivr": "local"}'):
        moments = started(engine)
        done = apply(operator, there, code=1)
        done.says("don't match any configuration option: log-drivr", "is put back, and Docker runs on")
        assert engine.run(f"cat {SETTINGS}") == '{"log-drivr": "local"}\n'
        assert started(engine) == moments
        operator.hubwright("destroy", *there, "--yes")
        assert engine.run(f"cat {SETTINGS}") == '{"log-drivr": "local"}\n'
    same_as_before(engine)


def test_an_engine_that_does_not_come_up_gets_back_what_it_ran_with(
    operator: Operator, engine: Host, there: tuple[str, ...]
) -> None:
    engine.run(REFUSES)
    try:
        done = apply(operator, there, code=1)
        done.says("must not be on", f"{SETTINGS} is put back, and Docker runs as before")
        assert running(engine) == {"plain", "always"}
        assert not engine.succeeds(f"test -e {SETTINGS}")
        operator.hubwright("destroy", *there, "--yes")
        assert engine.succeeds("systemctl restart docker && docker start plain always")
    finally:
        engine.run("rm -r /etc/systemd/system/docker.service.d; systemctl daemon-reload")
    same_as_before(engine)


def test_destroy_starts_an_engine_that_has_failed_since(
    operator: Operator, engine: Host, there: tuple[str, ...]
) -> None:
    apply(operator, there)
    engine.run(REFUSES)
    engine.run("systemctl restart docker || true")
    engine.run("for _ in $(seq 60); do systemctl is-failed docker && exit; sleep 0.5; done; exit 1")
    engine.run("rm -r /etc/systemd/system/docker.service.d")
    operator.hubwright("destroy", *there, "--yes")
    engine.run("docker start plain >/dev/null")
    same_as_before(engine)


@pytest.mark.parametrize(
    ("path", "text", "then", "said"),
    [
        (SETTINGS, '{"iptables": false}', "true", "notebooks would reach each other"),
        (
            "/etc/systemd/system/snap.docker.dockerd.service",
            "[Service]\nExecStart=/bin/true",
            "systemctl daemon-reload",
            "as a snap",
        ),
    ],
    ids=["no rules", "snap"],
)
def test_engines_that_a_hub_cannot_run_on(
    operator: Operator, engine: Host, there: tuple[str, ...], path: str, text: str, then: str, said: str
) -> None:
    with theirs(engine, path, text, then, "systemctl daemon-reload"):
        plan(operator, there, code=1).says(said)


def test_room_is_measured_where_docker_writes(
    operator: Operator, engine: Host, there: tuple[str, ...]
) -> None:
    small = "mkdir -p /srv/docker; mount --types tmpfs --options size=600m tmpfs"
    engine.run(f"{small} /srv/docker")
    root = json.dumps({"data-root": "/srv/docker"})
    again = "systemctl reset-failed docker docker.socket; systemctl restart docker"  # it counts restarts
    try:
        with theirs(engine, SETTINGS, root, again, again):
            plan(operator, there, code=1).says("0.6 GiB free at /srv/docker, and a hub needs 2.0 GiB there")
    finally:
        engine.run("umount /srv/docker")
    engine.run(f"systemctl stop docker docker.socket; {small} /var/lib/docker")
    try:
        with theirs(engine, SETTINGS, root, again, "systemctl stop docker docker.socket"):
            plan(operator, there)
    finally:
        engine.run(
            "umount /var/lib/docker; rm -r /srv/docker; systemctl reset-failed docker; systemctl start docker"
        )


@pytest.mark.full
def test_podman_s_docker_command_is_not_taken_for_docker(operator: Operator) -> None:
    name = f"{operator.hub['vm']['name']}-podman"
    with bare_host(operator, name) as host:
        host.run(
            "apt-get update -qq; apt-get install -qq --no-install-recommends podman-docker >/dev/null 2>&1"
        )
        there = ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
        done = plan(operator, there, code=1)
        done.says("the command docker is Podman's here")
        assert host.succeeds("command -v podman")
    assert name not in docker("ps", "--all", "--format", "{{.Names}}").split()
