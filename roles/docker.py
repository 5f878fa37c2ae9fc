"""The container engine, and the network that notebook servers share with the hub."""

from __future__ import annotations

from provision.agent.resources import AptPackages, DockerNetwork, JsonKeys, Resource, Service
from roles import paths
from roles.inputs import Inputs

DAEMON_JSON = "/etc/docker/daemon.json"
LOG_MAX_SIZE = "10m"
LOG_MAX_FILES = "3"


def steps(i: Inputs) -> list[Resource]:
    network = i.settings.network
    # Before the package: its first start is then the right one.
    config = JsonKeys(
        DAEMON_JSON,
        {
            "live-restore": True,  # running notebooks outlive a restart of the engine
            "log-driver": "json-file",
            "log-opts": {"max-size": LOG_MAX_SIZE, "max-file": LOG_MAX_FILES},
        },
    )
    return [
        config,
        # docker.io without apparmor cannot start a container where the kernel has AppArmor on.
        AptPackages(
            "docker",
            ("docker.io", "apparmor", "iptables"),
            unless="dockerd",
            data=("/var/lib/docker", "/var/lib/containerd", "/etc/cni", "/etc/docker/key.json"),
            groups=("docker",),
        ),
        Service("docker", watches=(config.id,), reload=True),
        DockerNetwork(paths.NETWORK, network.subnet, network.gateway, paths.BRIDGE),
    ]
