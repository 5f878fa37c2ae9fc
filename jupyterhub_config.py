"""JupyterHub's configuration on the host. Thin: every choice is in /etc/jupyterhub/hub.json."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

HUB_JSON = Path(os.environ.get("HUBWRIGHT_HUB_JSON", "/etc/jupyterhub/hub.json"))
ACCOUNT_NAME = r"[\w@+][\w .@+-]{0,63}\Z"  # people choose them
BRIDGE_TIMEOUT = 60.0  # seconds for Docker to make its bridge


def configure(c: Any, hub: dict[str, Any]) -> None:
    """Set traits on `c` (a traitlets Config) from the keys of hub.json; see roles/hub for them."""
    _proxy(c, hub)
    _pages(c, hub)
    _accounts(c, hub)
    _servers(c, hub)
    _services(c, hub)
    if hub["frame_ancestors"]:
        _frames(c, hub["frame_ancestors"])


def _frames(c: Any, sites: list[str]) -> None:
    """Let pages of these sites show the hub and its servers, which JupyterHub refuses to all others."""
    settings = {
        "headers": {"Content-Security-Policy": " ".join(["frame-ancestors 'self'", *sites])},
        # Browsers send other cookies to a frame's site only when its page is of the same site.
        "xsrf_cookie_kwargs": {"secure": True, "samesite": "None"},
    }
    c.JupyterHub.tornado_settings = {**settings, "cookie_options": {"secure": True, "samesite": "None"}}
    c.Spawner.args = [*c.Spawner.get("args", []), f"--ServerApp.tornado_settings={settings!r}"]


def _proxy(c: Any, hub: dict[str, Any]) -> None:
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
    # A hub that starts looks for visitors' servers. After this time it lets people in anyway: after a boot
    # Docker starts late, and only visitors who have a server need it found.
    c.JupyterHub.init_spawners_timeout = 1  # seconds


def _pages(c: Any, hub: dict[str, Any]) -> None:
    c.JupyterHub.template_paths = [hub["templates"]]
    c.JupyterHub.logo_file = f"{hub['templates']}/logo.svg"
    c.JupyterHub.template_vars = {
        "site_title": hub["title"],
        "announcement": hub["announcement"],
        "disk": hub["disk"],
        "accounts": hub["auth"]["type"],
    }


def _accounts(c: Any, hub: dict[str, Any]) -> None:
    kind = hub["auth"]["type"]
    # Since JupyterHub 5 no one may enter without a rule that allows it.
    c.Authenticator.allow_all = True
    # Cookies are signed with this. A login of one kind is worth nothing once the hub has accounts of another.
    suffix = "" if kind == "tmp" else f"-{kind}"
    c.JupyterHub.cookie_secret_file = f"{hub['state']}/cookie_secret{suffix}"
    {"tmp": _temporary_accounts, "shared-password": _shared_password}[kind](c, hub["auth"])


def _temporary_accounts(c: Any, auth: dict[str, Any]) -> None:  # noqa: ARG001 - the type says it all
    c.JupyterHub.authenticator_class = "tmp"


def _shared_password(c: Any, auth: dict[str, Any]) -> None:
    c.JupyterHub.authenticator_class = "shared_password.SharedPassword"
    c.SharedPasswordAuthenticator.user_password = auth["user_password"]
    c.SharedPasswordAuthenticator.admin_password = auth["admin_password"]
    c.Authenticator.admin_users = set(auth["admins"])
    c.Authenticator.username_pattern = ACCOUNT_NAME
    c.Authenticator.delete_invalid_users = True
    c.JupyterHub.cookie_max_age_days = 1  # by then a new password holds for all


def _servers(c: Any, hub: dict[str, Any]) -> None:
    c.JupyterHub.spawner_class = "ready_spawner.ReadySpawner"
    c.JupyterHub.active_server_limit = hub["max_servers"]  # those in line count, so the line has an end
    # The spawner lets servers start a few at a time. The hub's own limit would turn away visitors in line.
    c.JupyterHub.concurrent_spawn_limit = 0
    c.ReadySpawner.starts_at_once = hub["starts_at_once"]
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
    # People choose their names, and the hub has containers of its own, such as hubwright-graphite.
    c.DockerSpawner.prefix = "hubwright-server"
    c.DockerSpawner.remove = True
    if hub["certificates"]:  # the host's own file, in the place where the image has its
        c.DockerSpawner.read_only_volumes = {hub["certificates"]: hub["certificates"]}
    c.DockerSpawner.extra_host_config = {
        "auto_remove": False,  # when the engine restarts it would remove those that run, live-restore or not
        "pids_limit": hub["pids"],
        "memswap_limit": hub["memory"],  # the limit of memory holds for memory and swap together
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        # Whatever the engine's own default is, a server cannot fill the disk with its log.
        "log_config": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
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
        # The hub waits for it before it lets anyone in, and would for 30 s: longer than the hub's own start.
        {"name": service["name"], "url": service["url"], "display": service["display"], "timeout": 1}
        for service in hub["services"]
        if "url" in service
    ]
    # The admins are those of the settings and no others. Without a list the hub keeps all who once were.
    admins = {"name": "admin", "users": hub["auth"].get("admins", [])}
    c.JupyterHub.load_roles = [
        admins,
        *(
            {"name": service["name"], "services": [service["name"]], "scopes": service["scopes"]}
            for service in callers
        ),
    ]


def _token(path: str) -> str:
    """The value in a file of `VARIABLE=value`, the form that systemd's EnvironmentFile takes."""
    return Path(path).read_text(encoding="ascii").strip().partition("=")[2]


def wait_for(address: str) -> None:
    """Wait until this host has the address, or time is up and the hub may say what is wrong.

    After a boot the hub's programs load while Docker still starts; the bridge that the hub listens on is
    there only then.
    """
    end = time.monotonic() + BRIDGE_TIMEOUT
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
    import ended_servers
    import request_limits

    with contextlib.suppress(OSError):  # no reason for a hub not to start
        ended_servers.forget()
    request_limits.bound_requests()
    request_limits.count_known_methods_only()
    settings = json.loads(HUB_JSON.read_text(encoding="utf-8"))
    configure(get_config(), settings)  # type: ignore[name-defined]  # noqa: F821
    for own in settings["own_config"]:
        load_subconfig(own)  # type: ignore[name-defined]  # noqa: F821
    wait_for(settings["gateway"])
