"""Tells StatsD what the hub and the host are doing."""

from __future__ import annotations

from provision.agent.resources import GeneratedSecret, Resource, Service
from roles import graphite, python
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "hub-metrics"
TOKEN = GeneratedSecret(
    f"{paths.SECRETS}/metrics.env", "JUPYTERHUB_API_TOKEN", owner=paths.USER, group=paths.USER
)
SCOPES: tuple[str, ...] = ("read:metrics",)


def steps(inputs: Inputs) -> list[Resource]:
    if not graphite.wanted(inputs):
        return []
    code = inputs.code("metrics/hub_metrics.py", "metrics/host_measures.py", "metrics/measures.py")
    unit = render(
        "metrics/hubwright-metrics.service.j2",
        hub=f"http://{inputs.settings.network.gateway}:{paths.HUB_PORT}",
        graphite=graphite.url(inputs),
        monitoring=inputs.settings.monitoring,
        token_file=TOKEN.path,
    )
    watched = (TOKEN, *code, python.environment(inputs))
    return [*code, Service("hubwright-metrics", unit, watches=tuple(resource.id for resource in watched))]
