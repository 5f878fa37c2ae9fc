"""JupyterHub's configuration, made of what the roles write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traitlets import Dict
from traitlets.config import Config
from traitlets.config.loader import DeferredConfigString

import jupyterhub_config
import roles
from provision.agent.resources import (
    Service,
)
from provision.settings import Settings
from roles import graphite, keeper
from tests.support.described import PASSWORD, SHARED, every
from tests.support.fakes.host import inputs

HIDDEN = "correct-horse-battery"


ADMIN = "x" * 32


# --- what JupyterHub loads ------------------------------------------------------------------------


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[Settings], Any]:
    """The hub's traits, from the hub.json that the roles write."""

    def configure(settings: Settings) -> Any:
        text = roles.hub.hub_json(inputs(settings)).replace("/etc/jupyterhub/secrets", str(tmp_path))
        (tmp_path / "culler.env").write_text("JUPYTERHUB_API_TOKEN=00ff==\n")
        (tmp_path / "metrics.env").write_text("JUPYTERHUB_API_TOKEN=11ff==\n")
        config = Config()
        jupyterhub_config.configure(config, json.loads(text))
        return config

    return configure


def test_the_hub_is_configured_from_what_the_roles_write(
    described: Settings, configured: Callable[[Settings], Any]
) -> None:
    c = configured(described)
    gateway = described.network.gateway
    assert c.JupyterHub.hub_bind_url == c.JupyterHub.hub_connect_url == f"http://{gateway}:8081"
    assert c.JupyterHub.bind_url == f"{described.tls.scheme}://127.0.0.1:{described.hub.port}"
    secure = c.JupyterHub.get("tornado_settings", {}).get("xsrf_cookie_kwargs", {}).get("secure", False)
    assert secure is (described.tls.scheme == "https")
    # Restarting the hub drops no one.
    assert (c.JupyterHub.cleanup_servers, c.JupyterHub.cleanup_proxy) == (False, False)
    assert c.ConfigurableHTTPProxy.should_start is False
    # No one may enter without a rule that allows it.
    assert c.Authenticator.allow_all is True


def test_a_server_gets_the_limits_that_are_set(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    text = "[server]\nmemory = '2G'\ncpu = 0.5\npids = 99\nmax_servers = 7\nstart_timeout = '2m'\n"
    text += "starts_at_once = 3\n"
    text += "environment = {A = '1', B = '1'}"
    c = configured(hub(text, secrets=f"[server.secrets]\nB = '{HIDDEN}'"))
    assert (c.Spawner.mem_limit, c.Spawner.cpu_limit) == (2 << 30, 0.5)
    assert c.DockerSpawner.extra_host_config["pids_limit"] == 99
    assert c.DockerSpawner.extra_host_config["memswap_limit"] == 2 << 30
    log = c.DockerSpawner.extra_host_config["log_config"]  # as docker's create_host_config takes it
    assert (log["Type"], set(log["Config"])) == ("json-file", {"max-size", "max-file"})
    assert (c.JupyterHub.active_server_limit, c.ReadySpawner.starts_at_once) == (7, 3)
    assert c.JupyterHub.concurrent_spawn_limit == 0, "who waits in line is not turned away"
    assert (c.Spawner.start_timeout, c.Spawner.http_timeout) == (120, 120)
    assert c.Spawner.environment.items() >= {"A": "1", "B": HIDDEN}.items()


def test_a_server_is_told_what_holds_for_it(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    text = "[hub]\ntitle = 'Try it'\n[server]\nidle_timeout = '2h'\nmax_age = '1d'\ndisk = '1G'\n"
    text += "environment = {HUBWRIGHT_HOME = 'kept elsewhere'}"
    given = configured(hub(text)).Spawner.environment
    assert {key: value for key, value in given.items() if key.startswith("HUBWRIGHT_")} == {
        "HUBWRIGHT_TITLE": "Try it",
        "HUBWRIGHT_HOME": "kept elsewhere",  # a value of the operator's own wins
        "HUBWRIGHT_IDLE_TIMEOUT": "7200",
        "HUBWRIGHT_MAX_AGE": "86400",
        "HUBWRIGHT_DISK_LIMIT": str(1 << 30),
    }


def test_the_image_says_what_opens_first_unless_the_hub_does(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    assert not {"default_url", "args"} & set(configured(hub("")).Spawner)
    c = configured(hub("[server]\nopen = 'a%20b.ipynb'"))
    assert c.Spawner.default_url == "/lab/tree/a%20b.ipynb"
    assert c.Spawner.args == ["--ServerApp.default_url=/lab/tree/a%20b.ipynb"]


@pytest.mark.parametrize(
    ("disk", "limit", "ulimits"),
    [("'200M'", 200 << 20, [{"Name": "fsize", "Soft": 200 << 20, "Hard": 200 << 20}]), ("0", {}, None)],
)
def test_a_server_may_write_as_much_as_is_set(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any], disk: str, limit: Any, ulimits: Any
) -> None:
    c = configured(hub(f"[server]\ndisk = {disk}"))
    assert c.DockerSpawner.extra_host_config.get("ulimits") == ulimits
    assert c.ReadySpawner.get("disk", {}) == limit
    assert ("poll_interval" in c.Spawner) is (ulimits is not None)


def test_the_culler_is_known_to_the_hub_while_it_is_on(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    alone = "[monitoring]\ngraphite = false\n"
    c = configured(hub(alone))
    assert c.JupyterHub.services == [{"name": "idle-culler", "api_token": "00ff=="}]
    _, role = c.JupyterHub.load_roles
    assert (role["services"], "delete:users" in role["scopes"]) == (["idle-culler"], True)
    off = configured(hub(f"{alone}[server]\nidle_timeout = 0"))
    assert (off.JupyterHub.services, len(off.JupyterHub.load_roles)) == ([], 1)


def test_accounts_are_temporary_as_shipped(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    c = configured(hub())
    assert c.JupyterHub.authenticator_class == "tmp"
    assert c.JupyterHub.cookie_secret_file == "/var/lib/jupyterhub/cookie_secret"
    assert c.JupyterHub.load_roles[0] == {"name": "admin", "users": []}, "no admin is left from before"
    assert "admin_users" not in c.Authenticator
    assert c.JupyterHub.template_vars["accounts"] == "tmp"


def test_a_shared_password_lets_people_in(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    before = configured(hub())
    text = f"[users]\nadmins = ['ada', 'bob']\n{SHARED}"
    c = configured(hub(text, secrets=f"{PASSWORD}admin_password = '{ADMIN}'"))
    assert c.JupyterHub.authenticator_class == "shared_password.SharedPassword"
    assert c.SharedPasswordAuthenticator.user_password == HIDDEN
    assert c.SharedPasswordAuthenticator.admin_password == ADMIN
    assert c.Authenticator.admin_users == {"ada", "bob"}
    assert c.Authenticator.allow_all is True
    assert c.JupyterHub.cookie_max_age_days == 1, "those who know an old password are out by then"
    assert c.JupyterHub.load_roles[0] == {"name": "admin", "users": ["ada", "bob"]}
    assert c.JupyterHub.template_vars["accounts"] == "shared-password"
    # A visitor from the time of temporary accounts has no login any more.
    assert c.JupyterHub.cookie_secret_file != before.JupyterHub.cookie_secret_file


def test_without_admins_no_account_is_one(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    c = configured(hub(SHARED, secrets=PASSWORD))
    assert (c.SharedPasswordAuthenticator.admin_password, c.Authenticator.admin_users) == (None, set())
    assert c.JupyterHub.load_roles[0] == {"name": "admin", "users": []}


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("ada", True),
        ("Ünal Müller", True),
        ("ada@example.org", True),
        ("7", True),
        ("x" * 64, True),
        ("x" * 65, False),
        (" ada", False),
        ("-ada", False),
        ("..", False),
        ("a/b", False),
        ("a\nb", False),
        ("ada\n", False),
        ("<b>", False),
        ("", False),
    ],
)
def test_people_choose_names_of_letters(name: str, fits: bool) -> None:
    """Names are matched in the way of JupyterHub."""
    assert bool(re.compile(jupyterhub_config.ACCOUNT_NAME).match(name)) is fits


def test_no_server_is_called_like_a_container_of_the_hub(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    prefix = configured(hub()).DockerSpawner.prefix
    assert not [name for name in (keeper.NAME, graphite.NAME) if name.startswith(f"{prefix}-")]


def test_passwords_stand_in_the_hub_s_own_file_only(hub: Callable[..., Settings]) -> None:
    settings = hub(f"[users]\nadmins = ['ada']\n{SHARED}", secrets=f"{PASSWORD}admin_password = '{ADMIN}'")
    for secret in (HIDDEN, ADMIN):
        holders = [r for r in every(settings) if secret in json.dumps(r.to_json())]
        assert [holder.id for holder in holders] == ["file:/etc/jupyterhub/hub.json"]
        assert not any(secret in json.dumps(r.record()) for r in every(settings))


def test_the_culler_deletes_temporary_accounts_only(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    def culler(settings: Settings) -> tuple[bool, bool]:
        units = [r.unit for r in every(settings) if isinstance(r, Service) and r.name == "hubwright-culler"]
        roles_ = configured(settings).JupyterHub.load_roles
        (scopes,) = [role["scopes"] for role in roles_ if role["name"] == "idle-culler"]
        return "--cull-users=true" in units[0], "delete:users" in scopes

    assert culler(hub()) == (True, True)
    assert culler(hub(SHARED, secrets=PASSWORD)) == (False, False)


@pytest.mark.parametrize("public", [False, True])
def test_the_hub_knows_who_reads_its_metrics_and_where_the_status_page_is(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any], public: bool
) -> None:
    text = f"[monitoring]\nstatus_port = 9000\npublic_summary = {str(public).lower()}\n"
    text += "[server]\nidle_timeout = 0"
    c = configured(hub(text))
    assert c.JupyterHub.services == [
        {"name": "hub-metrics", "api_token": "11ff=="},
        {"name": "status", "url": "http://127.0.0.1:9000", "display": public, "timeout": 1},
    ]
    _, role = c.JupyterHub.load_roles
    assert (role["services"], role["scopes"]) == (["hub-metrics"], ["read:metrics"])


def test_without_graphite_nothing_of_it_is_left(hub: Callable[..., Settings]) -> None:
    on, off = ({r.id for r in every(hub(f"[monitoring]\ngraphite = {word}"))} for word in ("true", "false"))
    assert {id_ for id_ in on - off if id_.startswith(("service:", "secret:", "docker-"))} == {
        "service:hubwright-graphite",
        "service:hubwright-metrics",
        "service:hubwright-status",
        "secret:/etc/jupyterhub/secrets/metrics.env",
        "secret:/etc/jupyterhub/secrets/status.env",
        "docker-image:hubwright/graphite:" + "c" * 16,
        "docker-volume:hubwright-graphite",
    }
    assert not [id_ for id_ in off if re.search("graphite|metrics|status|statsd", id_)]


def test_who_listens_says_on_which_port(hub: Callable[..., Settings]) -> None:
    settings = hub("[monitoring]\nstatsd_port = 1\ngraphite_port = 2\nstatus_port = 3")
    services = [resource for resource in every(settings) if isinstance(resource, Service)]
    assert {(s.name, p[0], p[2]) for s in services for p in s.ports if "[monitoring]" in p[3]} == {
        ("hubwright-graphite", "udp", 1),
        ("hubwright-graphite", "tcp", 2),
        ("hubwright-status", "tcp", 3),
    }
    assert all(p[1] == "127.0.0.1" for s in services for p in s.ports if "[monitoring]" in p[3])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", {"site_title": "JupyterHub", "announcement": ""}),
        (
            "[hub]\nannouncement = 'x'\ntitle = 'Try it'",
            {"site_title": "Try it", "announcement": "x"},
        ),
    ],
)
def test_title_and_announcement_are_shown(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any], text: str, shown: dict[str, str]
) -> None:
    config = configured(hub(text))
    assert dict(config.JupyterHub.template_vars).items() >= shown.items()


# --- while Docker still starts --------------------------------------------------------------------


def test_the_hub_waits_for_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [False, False, True]
    monkeypatch.setattr(jupyterhub_config, "_is_here", lambda _: answers.pop(0))
    monkeypatch.setattr("time.sleep", lambda _: None)
    jupyterhub_config.wait_for("172.30.0.1")
    assert answers == []


def test_the_hub_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(jupyterhub_config, "_is_here", lambda _: False)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    jupyterhub_config.wait_for("172.30.0.1")
    assert jupyterhub_config.BRIDGE_TIMEOUT <= clock[0] < jupyterhub_config.BRIDGE_TIMEOUT + 1


def test_other_sites_may_show_the_hub_in_frames_if_they_are_named(
    hub: Callable[..., Settings], configured: Callable[[Settings], Any]
) -> None:
    c = configured(hub("[hub]\nframe_ancestors = ['https://LMS.example.org']\n[server]\nopen = '/tree'"))
    policy = "frame-ancestors 'self' https://lms.example.org"
    assert c.JupyterHub.tornado_settings["headers"] == {"Content-Security-Policy": policy}
    assert c.JupyterHub.tornado_settings["cookie_options"] == {"secure": True, "samesite": "None"}
    start, settings = c.Spawner.args
    assert start == "--ServerApp.default_url=/tree"
    given = DeferredConfigString(settings.partition("=")[2]).get_value(
        Dict()
    )  # as a server reads its arguments
    assert given["headers"] == {"Content-Security-Policy": policy}
    assert given["xsrf_cookie_kwargs"] == {"secure": True, "samesite": "None"}
