"""The container engine."""

from __future__ import annotations

from provision.agent.resources import (
    AptPackages,
    EngineService,
    EngineSettings,
    File,
    Resource,
    Service,
    UsableEngine,
)
from roles.role import Role
from roles.shared import mirrors, paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

DAEMON_JSON = "/etc/docker/daemon.json"
SEGMENTS = "hubwright-segments"
BUILDS = "docker0"  # the bridge that images are built on


def steps(inputs: Inputs) -> list[Resource]:
    registries = inputs.settings.downloads.registries
    # Before the package, so that the engine starts with these settings the first time. No more keys than
    # needed, for an engine may be other people's: the limits of logs go with each server.
    config = EngineSettings(
        DAEMON_JSON,
        {
            "live-restore": True,  # running notebooks outlive a restart of the engine
            **({"registry-mirrors": list(registries)} if registries else {}),
        },
        optional=("live-restore",),
    )
    # Not in daemon.json: engines before Docker 23 do not start with `proxies` there.
    env_files = mirrors.unit_environment(inputs)
    drop_in = render("shared/environment.conf.j2", file=env_files[0].path) if env_files else ""
    # An engine reads the certificates that it trusts when it starts.
    watched = [config, *env_files, *mirrors.certificates(inputs)]
    return [
        UsableEngine("docker"),
        config,
        # docker.io without apparmor cannot start a container where the kernel has AppArmor on.
        AptPackages(
            "docker",
            ("docker.io", "apparmor", "iptables"),
            unless=("dockerd", "docker"),
            data=(
                "/var/lib/docker",
                "/var/lib/containerd",
                "/opt/containerd",
                "/etc/cni",
                "/etc/docker/key.json",
            ),
            groups=("docker",),
        ),
        EngineService(
            "docker",
            watches=tuple(each.id for each in watched),
            drop_in=drop_in,
            # The last one holds the networks' addresses, chosen to be free where the engine started first.
            machine_specific=("/etc/docker/key.json", "/var/lib/docker/engine-id", "/var/lib/docker/network"),
        ),
        # An engine that is not the distribution's may have been installed without them.
        AptPackages("fence", ("iptables",), unless=("iptables-save", "iptables-restore")),
        *_segments(inputs),
    ]


def programs(inputs: Inputs) -> list[File]:
    """Those of this role, which the fence's program uses, too."""
    return inputs.code("system/segments.py", "system/rules.py")


def _segments(inputs: Inputs) -> list[Resource]:
    """Before the first image is built: a build downloads, too."""
    program, library = programs(inputs)
    unit = render(f"docker/{SEGMENTS}.service.j2", program=program.path, bridges=(paths.BRIDGE, BUILDS))
    return [program, library, Service(SEGMENTS, unit, watches=(program.id, library.id), noticed=False)]


ROLE = Role("docker", "the container engine", steps, ("base",), units=lambda _: ("docker", SEGMENTS))
