"""The container engine, and the network that notebook servers share with the hub."""

from __future__ import annotations

from provision.agent.resources import AptPackages, DockerNetwork, JsonKeys, Resource, Service
from roles.shared import mirrors, paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

DAEMON_JSON = "/etc/docker/daemon.json"
LOG_MAX_SIZE = "10m"
LOG_MAX_FILES = "3"
FENCE = "hubwright-fence"


def fence(inputs: Inputs) -> list[Resource]:
    """What containers on the notebooks' bridge do not reach, and who does not reach the hub's API."""
    [program] = inputs.code("system/fence.py")
    network = inputs.settings.network
    arguments = [
        f"--bridge={paths.BRIDGE}",
        f"--subnet={network.subnet}",
        f"--gateway={network.gateway}",
        f"--hub-port={paths.HUB_PORT}",
        *(f"--port={port}" for port in inputs.settings.public_ports),
        *(f"--blocked={range_}" for range_ in network.blocked),
    ]
    unit = render("fence/hubwright-fence.service.j2", program=program.path, arguments=arguments)
    return [
        # Somebody else's engine may have come without.
        AptPackages("fence", ("iptables",), unless=("iptables-save", "iptables-restore")),
        program,
        Service(FENCE, unit, watches=(program.id,), still_there=(program.path, "check")),
    ]


def steps(inputs: Inputs) -> list[Resource]:
    network, registries = inputs.settings.network, inputs.settings.downloads.registries
    # Before the package: its first start is then the right one.
    config = JsonKeys(
        DAEMON_JSON,
        {
            "live-restore": True,  # running notebooks outlive a restart of the engine
            "log-driver": "json-file",
            "log-opts": {"max-size": LOG_MAX_SIZE, "max-file": LOG_MAX_FILES},
            **({"registry-mirrors": list(registries)} if registries else {}),
        },
    )
    # Not in daemon.json: engines before Docker 23 do not start with `proxies` there.
    surroundings = mirrors.unit_environment(inputs)
    drop_in = render("shared/environment.conf.j2", file=surroundings[0].path) if surroundings else ""
    # An engine reads the certificates that it trusts when it starts.
    watched = [config, *surroundings, *mirrors.certificates(inputs)]
    return [
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
        Service(
            "docker",
            watches=tuple(each.id for each in watched),
            reload=True,
            drop_in=drop_in,
            # The last one holds the networks' addresses, chosen to be free where the engine started first.
            machine_specific=("/etc/docker/key.json", "/var/lib/docker/engine-id", "/var/lib/docker/network"),
        ),
        *fence(inputs),  # before there is a network to be fenced, and after it is gone
        DockerNetwork(paths.NETWORK, network.subnet, network.gateway, paths.BRIDGE),
    ]
