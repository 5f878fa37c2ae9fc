"""The culler: it ends idle servers, and deletes their accounts where these are temporary."""

from __future__ import annotations

from provision.agent.resources import GeneratedSecret, Resource, Service
from provision.settings import Settings
from roles import graphite, python
from roles.role import Caller, Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "idle-culler"
UNIT = "hubwright-culler"
TOKEN = GeneratedSecret(
    f"{paths.SECRETS}/culler.env", "JUPYTERHUB_API_TOKEN", owner=paths.USER, group=paths.USER
)
SCOPES: tuple[str, ...] = ("list:users", "read:users:activity", "read:servers", "delete:servers")


def wanted(settings: Settings) -> bool:
    return settings.server.idle_timeout > 0


def scopes(settings: Settings) -> tuple[str, ...]:
    return (*SCOPES, "delete:users") if settings.auth.temporary else SCOPES


def steps(inputs: Inputs) -> list[Resource]:
    server = inputs.settings.server
    code = inputs.code("culler/counting_culler.py")
    unit = render(
        "culler/hubwright-culler.service.j2",
        api=f"{inputs.settings.network.hub_url}/hub/api",
        timeout=server.idle_timeout,
        max_age=server.max_age,
        temporary=inputs.settings.auth.temporary,
        every=min(server.idle_timeout // 2, 600),
        token_file=TOKEN.path,
        statsd=graphite.wanted(inputs.settings),
        monitoring=inputs.settings.monitoring,
    )
    watched = (TOKEN, *code, python.environment(inputs))
    return [*code, Service(UNIT, unit, watches=tuple(resource.id for resource in watched))]


ROLE = Role(
    "culler",
    "the culler of idle servers and temporary accounts",
    steps,
    ("hub",),
    wanted=wanted,
    units=lambda _: (UNIT,),
    calls_hub=Caller(NAME, TOKEN, scopes),
)
