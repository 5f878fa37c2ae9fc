"""What a hub is made of: the table of contents.

A role is a pure function from the description of a hub to the list of things that should be true on its
host. Roles that do not need each other converge side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provision.agent.resources import Resource
from roles import (
    base,
    certificate,
    culler,
    docker,
    graphite,
    hub,
    metrics,
    notebook_image,
    proxy,
    python,
    status_page,
)
from roles.shared.inputs import Inputs


@dataclass(frozen=True)
class Role:
    name: str
    about: str
    steps: Callable[[Inputs], list[Resource]]
    needs: tuple[str, ...] = ()


ROLES = (
    Role("base", "certificates and packages that everything else needs", base.steps),
    Role("docker", "the container engine and the notebooks' network", docker.steps, ("base",)),
    Role("python", "the hub's Python environment and its Node", python.steps, ("base",)),
    Role("notebook_image", "the image that visitors run", notebook_image.steps, ("docker",)),
    Role("graphite", "StatsD and Graphite", graphite.steps, ("docker",)),
    Role("tls", "the certificate, its renewal, and the redirect to https", certificate.steps, ("base",)),
    Role("proxy", "the front door: configurable-http-proxy", proxy.steps, ("python", "tls")),
    # Before the hub: that one waits for the page when it starts, half a minute if nobody answers.
    Role("status_page", "the status page", status_page.steps, ("python", "proxy")),
    Role("jupyterhub", "the hub", hub.steps, ("python", "proxy", "notebook_image", "status_page")),
    Role("culler", "the culler of idle servers and temporary users", culler.steps, ("jupyterhub",)),
    Role("metrics", "the hub's numbers, for StatsD", metrics.steps, ("jupyterhub",)),
)

NAMES = tuple(role.name for role in ROLES)


def with_needs(names: set[str]) -> tuple[Role, ...]:
    """The roles of these names and all that they need, in the order of ROLES."""
    wanted = set(names)
    for role in reversed(ROLES):
        if role.name in wanted:
            wanted |= set(role.needs)
    return tuple(role for role in ROLES if role.name in wanted)
