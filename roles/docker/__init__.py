"""The container engine."""

from __future__ import annotations

from provision.agent.resources import (
    AptPackages,
    EngineService,
    EngineSettings,
    Resource,
    UsableEngine,
)
from roles.role import Role
from roles.shared import mirrors
from roles.shared.inputs import Inputs
from roles.shared.render import render

DAEMON_JSON = "/etc/docker/daemon.json"


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
    ]


ROLE = Role("docker", "the container engine", steps, ("base",), units=lambda _: ("docker",))
