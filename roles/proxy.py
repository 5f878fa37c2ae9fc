"""The front door, in a unit of its own: the hub can restart behind it without dropping a connection."""

from __future__ import annotations

from provision.agent.resources import Directory, GeneratedSecret, Resource, Service
from roles import paths, python, tls
from roles.inputs import Inputs
from roles.render import render

TOKEN = GeneratedSecret(f"{paths.SECRETS}/proxy.env", "CONFIGPROXY_AUTH_TOKEN")


def service(i: Inputs) -> Service:
    s = i.settings
    behind = s.tls.mode == "behind-proxy"
    unit = render(
        "jupyterhub-proxy.service.j2",
        port=s.hub.port,
        listen=s.tls.listen if behind else "",
        trusted=s.tls.trusted_proxies if behind else (),
        scheme=s.tls.scheme,
        certificate=tls.certificate(i),
        hsts=s.tls.hsts,
        gateway=s.network.gateway,
        token_file=TOKEN.path,
    )
    return Service(
        tls.PROXY,
        unit,
        watches=(TOKEN.id, tls.program(i, "front_door.mjs").id, python.environment(i).id),
        ready=f"http://127.0.0.1:{paths.PROXY_API_PORT}/",
        ports=(("tcp", "127.0.0.1", paths.PROXY_API_PORT, ""),),
    )


def steps(i: Inputs) -> list[Resource]:
    return [Directory(paths.SECRETS, mode=0o711), TOKEN, service(i)]
