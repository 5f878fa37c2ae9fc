"""A container that only keeps clean-ups from removing the network and the image of visitors' servers.

`docker system prune` removes networks and images that no container uses: the notebooks' network whenever no
visitor is there, with --all the image too. Docker leaves alone what a running container has.
"""

from __future__ import annotations

import shlex

from provision.agent.resources import Resource, Service
from roles import fence, notebook_image
from roles.role import Role
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "hubwright-keeper"
MEMORY = "16m"


def steps(inputs: Inputs) -> list[Resource]:
    network, image = fence.network(inputs), notebook_image.image(inputs)
    unit = render(
        f"keeper/{NAME}.service.j2",
        name=NAME,
        network=network.name,
        create=shlex.join(network.create),
        image=image.tag,
        memory=MEMORY,
    )
    return [Service(NAME, unit, watches=(network.id,))]


ROLE = Role(
    "keeper",
    "the container that keeps clean-ups from the notebooks' network and image",
    steps,
    ("fence", "notebook_image"),
    units=lambda _: (NAME,),
    containers=(NAME,),
)
