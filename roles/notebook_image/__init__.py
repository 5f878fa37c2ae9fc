"""The image that visitors run."""

from __future__ import annotations

from provision.agent.resources import DockerImage, Resource
from provision.settings.image_names import NOTEBOOK
from roles.role import Role
from roles.shared.inputs import Inputs


def image(inputs: Inputs) -> DockerImage:
    return inputs.images[NOTEBOOK].resource(NOTEBOOK)


def steps(inputs: Inputs) -> list[Resource]:
    return [image(inputs)]


ROLE = Role("notebook_image", "the image that visitors run", steps, ("docker",))
