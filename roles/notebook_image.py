"""The image that visitors run. The only place that names it."""

from __future__ import annotations

from provision.agent.resources import DockerImage, Resource
from roles.inputs import Inputs


def image(i: Inputs) -> DockerImage:
    source = i.image
    return DockerImage(
        f"hubwright/notebook:{source.digest[:16]}",
        reference=source.reference,
        archive=source.archive,
        context=source.context,
        arguments=dict(source.arguments),
    )


def steps(i: Inputs) -> list[Resource]:
    return [image(i)]
