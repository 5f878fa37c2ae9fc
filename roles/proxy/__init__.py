"""The proxy, in a unit of its own: the hub can restart behind it without dropping a connection."""

from __future__ import annotations

from provision.agent.resources import Directory, File, GeneratedSecret, Resource, Service
from provision.settings import Settings
from roles import certificate, python
from roles.role import Door, Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

TOKEN = GeneratedSecret(f"{paths.SECRETS}/proxy.env", "CONFIGPROXY_AUTH_TOKEN")


def api(settings: Settings) -> str:
    """The address at which the proxy's API answers on the host."""
    return f"{settings.network.proxy_api_url}/"


def program(inputs: Inputs) -> File:
    return inputs.code("proxy/proxy.mjs")[0]


def service(inputs: Inputs) -> Service:
    s = inputs.settings
    behind = s.tls.mode == "behind-proxy"
    unit = render(
        "proxy/jupyterhub-proxy.service.j2",
        port=s.hub.port,
        listen=s.tls.listen if behind else "",
        trusted=s.tls.trusted,
        scheme=s.tls.scheme,
        certificate=certificate.certificate(inputs),
        hsts=s.tls.hsts,
        api_port=s.network.proxy_api_port,
        hub=s.network.hub_url,
        token_file=TOKEN.path,
    )
    return Service(
        certificate.PROXY,
        unit,
        watches=(TOKEN.id, program(inputs).id, python.environment(inputs).id),
        ready=api(s),
        ports=(("tcp", "127.0.0.1", s.network.proxy_api_port, "[network] proxy_api_port"),),
    )


def steps(inputs: Inputs) -> list[Resource]:
    return [
        Directory(paths.SECRETS, mode=0o711),
        TOKEN,
        Directory(paths.PROXY, purge=True),
        program(inputs),
        service(inputs),
    ]


def doors(settings: Settings) -> tuple[Door, ...]:
    return (
        Door(settings.hub.port, "visitors", key="hub.port"),
        Door(settings.network.proxy_api_port, "host", key="network.proxy_api_port"),
    )


ROLE = Role(
    "proxy",
    "the proxy that visitors meet: configurable-http-proxy",
    steps,
    ("python", "certificate"),
    units=lambda _: (certificate.PROXY,),
    doors=doors,
    secrets=(TOKEN.path,),
    answers=lambda settings: {certificate.PROXY: api(settings)},
)
