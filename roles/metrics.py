"""Tells StatsD what the hub and the host are doing."""

from __future__ import annotations

from provision.agent.resources import GeneratedSecret, Resource, Service
from roles import graphite, paths, python
from roles.inputs import Inputs
from roles.render import render

NAME = "hub-metrics"
TOKEN = GeneratedSecret(
    f"{paths.SECRETS}/metrics.env", "JUPYTERHUB_API_TOKEN", owner=paths.USER, group=paths.USER
)
SCOPES: tuple[str, ...] = ("read:metrics",)


def steps(i: Inputs) -> list[Resource]:
    if not graphite.wanted(i):
        return []
    code = i.code("hub_metrics.py", "host_measures.py", "measures.py")
    unit = render(
        "hubwright-metrics.service.j2",
        hub=f"http://{i.settings.network.gateway}:{paths.HUB_PORT}",
        graphite=graphite.url(i),
        monitoring=i.settings.monitoring,
        token_file=TOKEN.path,
    )
    watched = (TOKEN, *code, python.environment(i))
    return [*code, Service("hubwright-metrics", unit, watches=tuple(resource.id for resource in watched))]
