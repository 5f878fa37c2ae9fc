"""The image that visitors run."""

from __future__ import annotations

from provision.agent.resources import DockerImage, Resource, ServableImage
from provision.settings.image_names import NOTEBOOK
from roles.role import Role
from roles.shared.inputs import Inputs

PATIENCE = 2  # times as long as when the host serves: while it is set up it is busy with much else


def image(inputs: Inputs) -> DockerImage:
    return inputs.images[NOTEBOOK].resource(NOTEBOOK)


def steps(inputs: Inputs) -> list[Resource]:
    """The hub needs this role: an image that cannot serve leaves it on the one that it has."""
    server = inputs.settings.server
    made = image(inputs)
    return [
        made,
        ServableImage(
            made.tag,
            memory=server.memory,
            cpu=server.cpu,
            pids=server.pids,
            disk=server.disk,
            patience=PATIENCE * server.start_timeout,
        ),
    ]


ROLE = Role("notebook_image", "the image that visitors run", steps, ("docker",))
