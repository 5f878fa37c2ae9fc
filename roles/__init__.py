"""The table of roles: the parts that a hub is made of.

A role is a pure function from the description of a hub to the list of things that should be true on its
host, with all that the rest of the program may want to know about it. Roles that do not need each other
are applied side by side.
"""

from __future__ import annotations

from collections.abc import Mapping

from provision.settings import Settings
from roles import (
    base,
    certificate,
    culler,
    docker,
    fence,
    graphite,
    hub,
    keeper,
    metrics,
    notebook_image,
    own,
    proxy,
    python,
    status_page,
)
from roles.role import Role, Roles
from roles.shared.inputs import ImageSource, Inputs

SHIPPED = Roles(
    (
        base.ROLE,
        docker.ROLE,
        fence.ROLE,
        python.ROLE,
        notebook_image.ROLE,
        keeper.ROLE,
        graphite.ROLE,
        certificate.ROLE,
        proxy.ROLE,
        # Before the hub: the hub waits for the page when it starts, half a minute if it does not answer.
        status_page.ROLE,
        hub.ROLE,
        culler.ROLE,
        metrics.ROLE,
    )
)


def table(settings: Settings) -> Roles:
    """The roles that a hub of these settings may have: the shipped ones, then the operator's own."""
    if not settings.extend.roles:
        return SHIPPED
    return Roles((*SHIPPED, *own.load(settings, SHIPPED.names)))


def read_inputs(settings: Settings, images: Mapping[str, ImageSource]) -> Inputs:
    """The inputs of all roles. Raises SettingsError for files that cannot be used."""
    roles = table(settings)
    return Inputs.read(settings, images, callers=roles.callers(settings), services=roles.pages(settings))


__all__ = ["SHIPPED", "ImageSource", "Inputs", "Role", "Roles", "read_inputs", "table"]
