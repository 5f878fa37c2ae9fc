"""The sender, which tells StatsD what the hub and the host are doing."""

from __future__ import annotations

from provision.agent.resources import GeneratedSecret, Resource, Service
from roles import graphite, python
from roles.role import Caller, Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "hub-metrics"
UNIT = "hubwright-metrics"
LEDGER = f"/run/{UNIT}/ledger.json"  # written after each reading of the hub, every ten seconds
TOKEN = GeneratedSecret(
    f"{paths.SECRETS}/metrics.env", "JUPYTERHUB_API_TOKEN", owner=paths.USER, group=paths.USER
)
SCOPES: tuple[str, ...] = ("read:metrics",)


def steps(inputs: Inputs) -> list[Resource]:
    code = inputs.code("metrics/hub_metrics.py", "metrics/host_measures.py", "metrics/measures.py")
    unit = render(
        "metrics/hubwright-metrics.service.j2",
        hub=inputs.settings.network.hub_url,
        graphite=graphite.url(inputs.settings),
        monitoring=inputs.settings.monitoring,
        token_file=TOKEN.path,
    )
    watched = (TOKEN, *code, python.environment(inputs))
    return [*code, Service(UNIT, unit, watches=tuple(resource.id for resource in watched))]


ROLE = Role(
    "metrics",
    "the hub's numbers, for StatsD",
    steps,
    ("hub",),
    wanted=graphite.wanted,
    units=lambda _: (UNIT,),
    calls_hub=Caller(NAME, TOKEN, lambda _: SCOPES),
    fresh=((LEDGER, 120),),
)
