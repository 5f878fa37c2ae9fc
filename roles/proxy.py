"""The front door, in a unit of its own: the hub can restart behind it without dropping a connection."""

from __future__ import annotations

from provision.agent.resources import Directory, GeneratedSecret, Resource, Service
from roles import paths, python
from roles.inputs import Inputs
from roles.render import render

TOKEN = GeneratedSecret(f"{paths.SECRETS}/proxy.env", "CONFIGPROXY_AUTH_TOKEN")


def steps(i: Inputs) -> list[Resource]:
    unit = render(
        "jupyterhub-proxy.service.j2",
        port=i.settings.hub.port,
        gateway=i.settings.network.gateway,
        token_file=TOKEN.path,
    )
    return [
        Directory(paths.CONFIG),
        Directory(paths.SECRETS, mode=0o711),
        TOKEN,
        Service(
            "jupyterhub-proxy",
            unit,
            watches=(TOKEN.id, python.environment(i).id),
            ready=f"http://127.0.0.1:{paths.PROXY_API_PORT}/",
        ),
    ]
