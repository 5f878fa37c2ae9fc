"""Ends servers that nobody uses, and removes the temporary users they belonged to."""

from __future__ import annotations

from provision.agent.resources import GeneratedSecret, Resource, Service
from roles import graphite, python
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "idle-culler"
TOKEN = GeneratedSecret(
    f"{paths.SECRETS}/culler.env", "JUPYTERHUB_API_TOKEN", owner=paths.USER, group=paths.USER
)
SCOPES: tuple[str, ...] = (
    "list:users",
    "read:users:activity",
    "read:servers",
    "delete:servers",
    "delete:users",
)


def wanted(inputs: Inputs) -> bool:
    return inputs.settings.server.idle_timeout > 0


def steps(inputs: Inputs) -> list[Resource]:
    if not wanted(inputs):
        return []
    server = inputs.settings.server
    code = inputs.code("culler/counting_culler.py")
    unit = render(
        "culler/hubwright-culler.service.j2",
        api=f"http://{inputs.settings.network.gateway}:{paths.HUB_PORT}/hub/api",
        timeout=server.idle_timeout,
        max_age=server.max_age,
        every=min(server.idle_timeout // 2, 600),
        token_file=TOKEN.path,
        statsd=graphite.wanted(inputs),
        monitoring=inputs.settings.monitoring,
    )
    watched = (TOKEN, *code, python.environment(inputs))
    return [*code, Service("hubwright-culler", unit, watches=tuple(resource.id for resource in watched))]
