"""The image of visitors' servers."""

from __future__ import annotations

from provision.agent.resources import DockerImage, Resource, ServableImage
from provision.settings.image_names import NOTEBOOK
from roles.role import Role
from roles.shared.inputs import Inputs

# A trial may take so many times as long as a start: while a host is set up, it is busy with much else.
TRIAL_TIMEOUT_FACTOR = 2


def image(inputs: Inputs) -> DockerImage:
    return inputs.images[NOTEBOOK].resource(NOTEBOOK)


def steps(inputs: Inputs) -> list[Resource]:
    """The steps. The hub needs this role, so an image that cannot serve leaves it on the one that it has."""
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
            answer_timeout=TRIAL_TIMEOUT_FACTOR * server.start_timeout,
        ),
    ]


ROLE = Role("notebook_image", "the image that visitors run", steps, ("docker",))
