"""The network that notebook servers share with the hub, and the fence around it."""

from __future__ import annotations

from provision.agent.resources import DockerNetwork, KeptOpen, Resource, Service, Timer
from roles import docker
from roles.role import Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

UNIT = "hubwright-fence"
REPAIR = "hubwright-fence-repair"
HELD_BY = ("hubwright-keeper",)


def network(inputs: Inputs) -> DockerNetwork:
    s = inputs.settings.network
    return DockerNetwork(paths.NETWORK, s.subnet, s.gateway, paths.BRIDGE, held_by=HELD_BY)


def steps(inputs: Inputs) -> list[Resource]:
    program, *libraries = inputs.code("system/fence.py", "system/foreign_chains.py", "system/firewalld.py")
    s = inputs.settings.network
    arguments = [
        f"--bridge={paths.BRIDGE}",
        f"--subnet={s.subnet}",
        f"--gateway={s.gateway}",
        f"--hub-port={s.hub_port}",
        *(f"--port={port}" for port in inputs.settings.public_ports),
        *(f"--blocked={range_}" for range_ in s.blocked),
    ]
    unit = render(f"fence/{UNIT}.service.j2", program=program.path, arguments=arguments)
    watches = tuple(each.id for each in (program, *libraries, *docker.programs(inputs)))
    repair = render(f"fence/{REPAIR}.service.j2", program=program.path, unit=UNIT)
    return [
        program,
        *libraries,
        KeptOpen(UNIT, paths.BRIDGE),
        # Listed before the network: the fence is there before it, and still there while it is removed.
        Service(UNIT, unit, watches=watches, still_there=(program.path, "check")),
        network(inputs),
        Timer(REPAIR, render(f"fence/{REPAIR}.timer.j2"), repair),
    ]


ROLE = Role(
    "fence",
    "the notebooks' network, and the fence around it",
    steps,
    ("docker",),
    units=lambda _: (UNIT, f"{REPAIR}.timer"),
)
