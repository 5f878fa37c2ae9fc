"""The hub: its user, its settings, its unit."""

from __future__ import annotations

import json
from typing import Any

from provision.agent.resources import Directory, File, ReachableFromContainer, Resource, Service, User
from provision.settings import Settings, downloads
from roles import keeper, notebook_image, proxy, python
from roles.role import Data, Door, Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

UNIT = "jupyterhub"


def hub_json(inputs: Inputs) -> str:
    """What jupyterhub_config.py reads on the host. Holds the visitors' secret variables: mode 0600."""
    s = inputs.settings
    secrets = {key: value.get_secret_value() for key, value in s.server.secrets.items()}
    hub: dict[str, Any] = {
        "scheme": s.tls.scheme,
        "port": s.hub.port,
        "title": s.hub.title,
        "announcement": s.hub.announcement,
        "templates": paths.TEMPLATES,
        "gateway": s.network.gateway,
        "hub_port": paths.HUB_PORT,
        "proxy_api": f"http://127.0.0.1:{paths.PROXY_API_PORT}",
        "state": paths.STATE,
        "network": paths.NETWORK,
        "image": notebook_image.image(inputs).tag,
        "memory": s.server.memory,
        "cpu": s.server.cpu,
        "pids": s.server.pids,
        "disk": s.server.disk,
        "max_servers": s.server.max_servers,
        "start_timeout": s.server.start_timeout,
        "open": s.server.open,
        "certificates": downloads.notebooks_certificates(s),
        "environment": {**_facts(s), **downloads.notebooks(s), **s.server.environment, **secrets},
        "own_config": [f"{paths.OWN_CONFIG}/{name}" for name in inputs.hub_config],
        "services": [
            *(
                {"name": each.name, "token_file": each.token.path, "scopes": list(each.scopes(s))}
                for each in inputs.callers
            ),
            *(
                {"name": each.name, "url": each.url(s), "display": each.display(s)}
                for each in inputs.services
            ),
        ],
    }
    return json.dumps(hub, indent=2, sort_keys=True) + "\n"


def own_config(inputs: Inputs) -> list[Resource]:
    """The operator's own files. Each is tried with the hub's packages before it takes the old one's place."""
    if not inputs.hub_config:
        return []
    [program] = inputs.code("hub/check_config.py")
    check = ("runuser", "--user", paths.USER, "--", f"{paths.ENVIRONMENT}/bin/python", program.path)
    owned: dict[str, Any] = {"mode": 0o640, "group": paths.USER, "secret": True, "check_with": check}
    files = [File(f"{paths.OWN_CONFIG}/{name}", text, **owned) for name, text in inputs.hub_config.items()]
    return [program, Directory(paths.OWN_CONFIG, mode=0o750, group=paths.USER), *files]


def _facts(settings: Settings) -> dict[str, str]:
    """Variables that tell a server what holds for it; the image's welcome notebook shows them."""
    server = settings.server
    return {
        "HUBWRIGHT_TITLE": settings.hub.title,
        "HUBWRIGHT_HOME": "ephemeral",  # a server's files go with its container
        "HUBWRIGHT_IDLE_TIMEOUT": str(server.idle_timeout),
        "HUBWRIGHT_MAX_AGE": str(server.max_age),
        "HUBWRIGHT_DISK_LIMIT": str(server.disk),
    }


def steps(inputs: Inputs) -> list[Resource]:
    owned: dict[str, Any] = {"owner": paths.USER, "group": paths.USER}
    settings = File(paths.HUB_JSON, hub_json(inputs), mode=0o600, secret=True, **owned)
    config = File(paths.HUB_CONFIG, inputs.files["jupyterhub_config.py"])
    pages = inputs.pages("hub", "page.html", "spawn_pending.html", "not_running.html", "429.html")
    code = [*inputs.code("hub/request_limits.py", "hub/ready_spawner.py"), *pages]
    tokens = [caller.token for caller in inputs.callers]
    front_door = (proxy.service(inputs), proxy.program(inputs))
    own = own_config(inputs)
    watched = (
        settings,
        *own,
        config,
        *code,
        *inputs.pages("hub", "logo.svg"),
        proxy.TOKEN,
        *tokens,
        python.environment(inputs),
        *front_door,
    )
    return [
        User(paths.USER, home=paths.STATE, groups=("docker",)),
        Directory(paths.STATE, mode=0o700, purge=True, **owned),
        *tokens,
        *code,
        *own,
        settings,
        config,
        Service(
            UNIT,
            render("hub/jupyterhub.service.j2", token_file=proxy.TOKEN.path),
            watches=tuple(resource.id for resource in watched),
            # Through the front door: the hub listens before it has told the proxy the way to it.
            ready=f"{inputs.settings.own_door}/hub/health",
            ready_below=400,
            ports=(("tcp", inputs.settings.network.gateway, paths.HUB_PORT, ""),),
        ),
        ReachableFromContainer(keeper.NAME, inputs.settings.network.gateway, paths.HUB_PORT, "the hub's API"),
    ]


def doors(settings: Settings) -> tuple[Door, ...]:  # noqa: ARG001 - every door is asked with them
    return (Door(paths.HUB_PORT, "notebooks"),)


ROLE = Role(
    "hub",
    "the hub itself",
    steps,
    ("python", "proxy", "keeper", "status_page"),
    units=lambda _: (UNIT,),
    state=(Data("accounts, and the tokens of servers", path=paths.STATE),),
    doors=doors,
    secrets=(paths.HUB_JSON, f"{paths.STATE}/jupyterhub.sqlite", f"{paths.STATE}/cookie_secret"),
)
