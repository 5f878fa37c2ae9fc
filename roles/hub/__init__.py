"""The hub: its user, its settings, its unit."""

from __future__ import annotations

import json
from typing import Any

from provision.agent.resources import Directory, File, ReachableFromContainer, Resource, Service, User
from provision.settings import Settings, download_environment
from roles import keeper, notebook_image, proxy, python
from roles.role import Data, Door, Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

UNIT = "jupyterhub"
PAGES = ("page.html", "login.html", "spawn_pending.html", "not_running.html", "429.html")
CODE = (
    "hub/request_limits.py",
    "hub/ready_spawner.py",
    "hub/start_line.py",
    "hub/failed_starts.py",
    "hub/ended_servers.py",
)


def _auth(settings: Settings) -> dict[str, Any]:
    """Accounts and their passwords: every key of [auth] with the admins of [users]."""
    auth = settings.auth
    values = {key: _plain(value) for key, value in auth}
    return values if auth.temporary else {**values, "admins": list(settings.users.admins)}


def _plain(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _authenticator(settings: Settings) -> tuple[str, ...]:
    """The file of the authenticator, where no package brings it."""
    return ("hub/shared_password.py",) if settings.auth.type == "shared-password" else ()


def hub_json(inputs: Inputs) -> str:
    """The JSON that jupyterhub_config.py reads on the host, passwords and secret variables included."""
    s = inputs.settings
    secrets = {key: value.get_secret_value() for key, value in s.server.secrets.items()}
    hub: dict[str, Any] = {
        "auth": _auth(s),
        "scheme": s.tls.scheme,
        "port": s.hub.port,
        "frame_ancestors": list(s.hub.frame_ancestors),
        "title": s.hub.title,
        "announcement": s.hub.announcement,
        "templates": paths.TEMPLATES,
        "gateway": s.network.gateway,
        "hub_port": s.network.hub_port,
        "proxy_api": s.network.proxy_api_url,
        "state": paths.STATE,
        "network": paths.NETWORK,
        "image": notebook_image.image(inputs).tag,
        "memory": s.server.memory,
        "cpu": s.server.cpu,
        "pids": s.server.pids,
        "disk": s.server.disk,
        "max_servers": s.server.max_servers,
        "starts_at_once": s.server.starts_at_once,
        "start_timeout": s.server.start_timeout,
        "open": s.server.open,
        "certificates": download_environment.notebooks_certificates(s),
        "environment": {**_facts(s), **download_environment.notebooks(s), **s.server.environment, **secrets},
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
    """The operator's own files. Each is checked with the hub's packages before it replaces the old one."""
    if not inputs.hub_config:
        return []
    [program] = inputs.code("hub/check_config.py")
    check = ("runuser", "--user", paths.USER, "--", f"{paths.ENVIRONMENT}/bin/python", program.path)
    owned: dict[str, Any] = {"mode": 0o640, "group": paths.USER, "secret": True, "check_with": check}
    sources = {path.name: str(path) for path in inputs.settings.extend.hub_config}
    files = [
        File(f"{paths.OWN_CONFIG}/{name}", text, source=sources[name], **owned)
        for name, text in inputs.hub_config.items()
    ]
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
    programs = (*CODE, *_authenticator(inputs.settings))
    code = [*inputs.code(*programs), *inputs.pages("hub", *PAGES)]
    tokens = [caller.token for caller in inputs.callers]
    network = inputs.settings.network
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
        *inputs.code("hub/server_logs.py"),
        Service(
            UNIT,
            render("hub/jupyterhub.service.j2", token_file=proxy.TOKEN.path),
            watches=tuple(resource.id for resource in watched),
            # Through the proxy: the hub listens before it has told the proxy its route.
            ready=f"{inputs.settings.own_door}/hub/health",
            ready_below=400,
            ports=(("tcp", network.gateway, network.hub_port, "[network] hub_port"),),
        ),
        ReachableFromContainer(keeper.NAME, network.gateway, network.hub_port, "the hub's API"),
    ]


def doors(settings: Settings) -> tuple[Door, ...]:
    return (Door(settings.network.hub_port, "notebooks", key="network.hub_port"),)


ROLE = Role(
    "hub",
    "the hub itself",
    steps,
    ("python", "proxy", "keeper", "status_page"),
    units=lambda _: (UNIT,),
    state=(Data("accounts, and the tokens of servers", path=paths.STATE),),
    doors=doors,
    # The folder itself: the file of the cookie secret has another name for each kind of accounts.
    secrets=(paths.HUB_JSON, paths.OWN_CONFIG, paths.STATE, f"{paths.STATE}/jupyterhub.sqlite"),
)
