"""The network that notebook servers share with the hub, and the fence around it."""

from __future__ import annotations

from provision.agent.resources import AptPackages, DockerNetwork, Resource, Service
from roles.role import Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

UNIT = "hubwright-fence"


def steps(inputs: Inputs) -> list[Resource]:
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
    unit = render(f"fence/{UNIT}.service.j2", program=program.path, arguments=arguments)
    return [
        # An engine that is not the distribution's may have come without.
        AptPackages("fence", ("iptables",), unless=("iptables-save", "iptables-restore")),
        program,
        # Before there is a network to be fenced, and after it is gone.
        Service(UNIT, unit, watches=(program.id,), still_there=(program.path, "check")),
        DockerNetwork(paths.NETWORK, network.subnet, network.gateway, paths.BRIDGE),
    ]


ROLE = Role(
    "fence",
    "the notebooks' network, and the fence around it",
    steps,
    ("docker",),
    units=lambda _: (UNIT,),
)
