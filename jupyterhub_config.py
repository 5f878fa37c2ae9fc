"""What JupyterHub loads on the host. Thin: every choice stands in /etc/jupyterhub/hub.json."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

HUB_JSON = Path(os.environ.get("HUBWRIGHT_HUB_JSON", "/etc/jupyterhub/hub.json"))
PATIENCE = 60.0  # seconds for Docker to make its bridge


def configure(c: Any, hub: dict[str, Any]) -> None:
    """Set traits on `c` (a traitlets Config) from the keys of hub.json; see roles/jupyterhub.py for them."""
    _front_door(c, hub)
    _look(c, hub)
    _visitors(c, hub)
    _servers(c, hub)
    _services(c, hub)


def _front_door(c: Any, hub: dict[str, Any]) -> None:
    # The proxy is a unit of its own and outlives the hub; so do the servers behind it.
    c.JupyterHub.bind_url = f"{hub['scheme']}://127.0.0.1:{hub['port']}"
    if hub["scheme"] == "https":
        # The hub marks its other cookies by itself. `__Host-` names are not for us: those cookies go to every
        # path, that is, to every visitor's server; see JupyterHub.cookie_host_prefix_enabled.
        c.JupyterHub.tornado_settings = {"xsrf_cookie_kwargs": {"secure": True}}
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = hub["proxy_api"]
    # On the network's gateway: containers reach it, other machines do not.
    c.JupyterHub.hub_bind_url = f"http://{hub['gateway']}:{hub['hub_port']}"
    c.JupyterHub.hub_connect_url = f"http://{hub['gateway']}:{hub['hub_port']}"
    c.JupyterHub.db_url = f"sqlite:///{hub['state']}/jupyterhub.sqlite"
    c.PeriodicMetricsCollector.active_users_update_interval = 300  # seconds; it is one query
    c.JupyterHub.upgrade_db = True  # backs the database up first
    # A hub that starts looks for visitors' servers. After this it lets people in meanwhile: after a boot
    # Docker comes late, and only who has a server needs it found.
    c.JupyterHub.init_spawners_timeout = 1  # seconds
    c.JupyterHub.cookie_secret_file = f"{hub['state']}/cookie_secret"


def _look(c: Any, hub: dict[str, Any]) -> None:
    c.JupyterHub.template_paths = [hub["templates"]]
    c.JupyterHub.logo_file = f"{hub['templates']}/logo.svg"
    c.JupyterHub.template_vars = {
        "site_title": hub["title"],
        "announcement": hub["announcement"],
        "disk": hub["disk"],
    }


def _visitors(c: Any, hub: dict[str, Any]) -> None:  # noqa: ARG001 - one kind of visitor so far
    c.JupyterHub.authenticator_class = "tmp"
    # Since JupyterHub 5 nobody may enter without a rule that allows it.
    c.Authenticator.allow_all = True


def _servers(c: Any, hub: dict[str, Any]) -> None:
    c.JupyterHub.spawner_class = "ready_spawner.ReadySpawner"
    c.JupyterHub.active_server_limit = hub["max_servers"]
    if hub["open"]:
        # The argument overrides a page that the image's configuration names, which the variable that
        # JupyterHub makes of default_url does not. Programs other than Jupyter Server read the variable.
        c.Spawner.args = [f"--ServerApp.default_url={hub['open']}"]
        c.Spawner.default_url = hub["open"]
    c.Spawner.disable_user_config = True
    c.Spawner.environment = hub["environment"]
    c.Spawner.mem_limit = hub["memory"]
    c.Spawner.cpu_limit = hub["cpu"]
    c.Spawner.start_timeout = hub["start_timeout"]
    c.Spawner.http_timeout = hub["start_timeout"]
    c.DockerSpawner.image = hub["image"]
    c.DockerSpawner.pull_policy = "skip"  # a role has put it there
    c.DockerSpawner.network_name = hub["network"]
    c.DockerSpawner.prefix = "hubwright"
    c.DockerSpawner.remove = True
    if hub["certificates"]:  # the host's own file, in the place where the image has its
        c.DockerSpawner.read_only_volumes = {hub["certificates"]: hub["certificates"]}
    c.DockerSpawner.extra_host_config = {
        "auto_remove": False,  # when the engine restarts it would remove those that run, live-restore or not
        "pids_limit": hub["pids"],
        "memswap_limit": hub["memory"],  # the limit of memory holds for memory and swap together
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
    }
    if hub["disk"]:
        # No file may be larger, and of all files together the spawner takes care. Docker's own limit of a
        # container's layer (storage_opt) works on XFS with project quotas only.
        c.DockerSpawner.extra_host_config["ulimits"] = [
            {"Name": "fsize", "Soft": hub["disk"], "Hard": hub["disk"]}
        ]
        c.ReadySpawner.disk = hub["disk"]
        c.Spawner.poll_interval = 10  # seconds; at each poll the spawner looks how much a server has written


def _services(c: Any, hub: dict[str, Any]) -> None:
    """A service has a token file and scopes when it calls the hub, and a url when visitors call it."""
    callers = [service for service in hub["services"] if "token_file" in service]
    c.JupyterHub.services = [
        {"name": service["name"], "api_token": _token(service["token_file"])} for service in callers
    ] + [
        # The hub waits for it before it lets anybody in, and would for 30 s: longer than the hub's own start.
        {"name": service["name"], "url": service["url"], "display": service["display"], "timeout": 1}
        for service in hub["services"]
        if "url" in service
    ]
    c.JupyterHub.load_roles = [
        {"name": service["name"], "services": [service["name"]], "scopes": service["scopes"]}
        for service in callers
    ]


def _token(path: str) -> str:
    """The value in a file of `VARIABLE=value`, the form that systemd's EnvironmentFile takes."""
    return Path(path).read_text(encoding="ascii").strip().partition("=")[2]


def wait_for(address: str) -> None:
    """Returns when this machine has the address, or patience ends and the hub may say what is wrong.

    After a boot the hub's programs load while Docker still starts; the bridge that the hub listens on is
    there only then.
    """
    end = time.monotonic() + PATIENCE
    while not _is_here(address) and time.monotonic() < end:
        time.sleep(0.1)


def _is_here(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


if "get_config" in globals():  # JupyterHub runs this file with get_config in its name space
    import request_limits

    request_limits.bound_requests()
    request_limits.count_known_methods_only()
    settings = json.loads(HUB_JSON.read_text(encoding="utf-8"))
    configure(get_config(), settings)  # type: ignore[name-defined]  # noqa: F821
    for own in settings["own_config"]:
        load_subconfig(own)  # type: ignore[name-defined]  # noqa: F821
    wait_for(settings["gateway"])
