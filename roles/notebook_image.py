"""The image that visitors run."""

from __future__ import annotations

from provision.agent.resources import DockerImage, Resource
from roles import paths
from roles.inputs import Inputs


def image(i: Inputs) -> DockerImage:
    return i.images[paths.NOTEBOOK].resource(paths.NOTEBOOK)


def steps(i: Inputs) -> list[Resource]:
    return [image(i)]
