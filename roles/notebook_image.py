"""The image that visitors run. The only place that names it."""

from __future__ import annotations

from provision.agent.resources import DockerImage, Resource
from roles.inputs import Inputs


def image(i: Inputs) -> DockerImage:
    return i.images["notebook"].resource("notebook")


def steps(i: Inputs) -> list[Resource]:
    return [image(i)]
