"""[downloads] on hosts: variables of downloads, files for apt and dockerd, a visitor's variables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from traitlets.config import Config

import jupyterhub_config
import roles
from provision.agent.masking import without_credentials
from provision.agent.resources import (
    AptSources,
    CondaPrefix,
    File,
    JsonKeys,
    Resource,
    Service,
    Timer,
    TrustedCertificate,
)
from provision.deploy.bundle import manifest
from provision.settings import Settings, download_environment
from roles.shared import mirrors
from tests.support.fakes.host import inputs

Hub = Callable[..., Settings]
HIDDEN = "correct-horse-battery"
PROXY = "http_proxy = 'http://proxy.example:3128'"
OWN = "localhost,127.0.0.1,::1,172.30.0.1,172.30.0.0/20"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def every(settings: Settings) -> dict[str, Resource]:
    given = inputs(settings)
    return {resource.id: resource for role in roles.SHIPPED for resource in role.steps(given)}


def proxied(hub: Hub, text: str = "", secret: str = "") -> Settings:
    secrets = f"[downloads]\nproxy_credentials = '{secret}'" if secret else ""
    return hub(f"[downloads]\n{PROXY}\n{text}", secrets=secrets)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (
            "pypi = 'https://m/simple'",
            {"PIP_INDEX_URL": "https://m/simple", "UV_DEFAULT_INDEX": "https://m/simple"},
        ),
        (
            "pypi = 'http://m:81/simple'",
            {
                "PIP_INDEX_URL": "http://m:81/simple",
                "UV_DEFAULT_INDEX": "http://m:81/simple",
                "PIP_TRUSTED_HOST": "m:81",
            },
        ),
        ("npm = 'https://m/npm'", {"npm_config_registry": "https://m/npm"}),
        ("conda = 'https://m/conda/'", {"CONDA_CHANNEL_ALIAS": "https://m/conda"}),
        ("registries = ['https://m']\nconda_installers = 'https://m'", {}),
        (
            f"{PROXY}\nhttps_proxy = 'http://other:1'\nno_proxy = ['.example.org', '10.0.0.0/8']",
            {
                "http_proxy": "http://proxy.example:3128",
                "HTTP_PROXY": "http://proxy.example:3128",
                "https_proxy": "http://other:1",
                "HTTPS_PROXY": "http://other:1",
                "no_proxy": f"{OWN},.example.org,10.0.0.0/8",
                "NO_PROXY": f"{OWN},.example.org,10.0.0.0/8",
            },
        ),
    ],
)
def test_what_programs_of_a_run_are_started_with(hub: Hub, text: str, expected: dict[str, str]) -> None:
    settings = hub(f"[downloads]\n{text}")
    assert manifest(settings, [], mode="plan")["environment"] == expected
    assert download_environment.environment(settings) == expected


def test_the_hub_s_own_network_is_never_asked_of_the_proxy(hub: Hub) -> None:
    settings = hub(f"[downloads]\n{PROXY}\n[network]\nsubnet = '10.9.0.0/20'")
    assert (
        download_environment.environment(settings)["no_proxy"]
        == "localhost,127.0.0.1,::1,10.9.0.1,10.9.0.0/20"
    )


def test_nothing_of_it_where_nothing_is_set(hub: Hub) -> None:
    found = every(hub())
    assert not [id_ for id_ in found if "apt" in id_ or "downloads.env" in id_]
    docker = found["service:docker"]
    assert isinstance(docker, Service)
    assert (docker.drop_in, docker.watches) == ("", ("json:/etc/docker/daemon.json",))
    daemon = found["json:/etc/docker/daemon.json"]
    assert isinstance(daemon, JsonKeys)
    assert "registry-mirrors" not in daemon.values


def test_apt_is_told_of_the_proxy(hub: Hub) -> None:
    names = "no_proxy = ['deb.example', '.example.org', '10.0.0.0/8', '10.0.0.7', '::2']"
    conf = every(proxied(hub, names))[f"file:{mirrors.APT_PROXY}"]
    assert isinstance(conf, File)
    assert conf.content.splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::Proxy "http://proxy.example:3128";',
        'Acquire::http::Proxy::deb.example "DIRECT";',
        'Acquire::http::Proxy::10.0.0.7 "DIRECT";',
        'Acquire::https::Proxy::deb.example "DIRECT";',
        'Acquire::https::Proxy::10.0.0.7 "DIRECT";',
    ]


def test_dockerd_has_the_proxy_from_a_file_and_mirrors_from_its_settings(hub: Hub) -> None:
    found = every(proxied(hub, "registries = ['https://one', 'http://two:5000']"))
    docker, daemon = found["service:docker"], found["json:/etc/docker/daemon.json"]
    assert isinstance(docker, Service)
    assert isinstance(daemon, JsonKeys)
    assert docker.drop_in == "[Service]\nEnvironmentFile=-/etc/jupyterhub/downloads.env\n"
    assert "file:/etc/jupyterhub/downloads.env" in docker.watches
    assert daemon.values["registry-mirrors"] == ["https://one", "http://two:5000"]


def test_the_password_stands_in_files_that_only_root_reads(hub: Hub) -> None:
    settings = proxied(hub, "https_proxy = 'http://other:1'", f"me:{HIDDEN}%")
    holders = {}
    for resource in every(settings).values():
        assert HIDDEN not in json.dumps(resource.record())
        if HIDDEN in json.dumps(resource.to_json()):
            assert isinstance(resource, File)
            assert (resource.secret, resource.mode, resource.owner) == (True, 0o600, "root")
            holders[resource.path] = resource.content
    assert set(holders) == {mirrors.APT_CREDENTIALS, "/etc/jupyterhub/downloads.env"}
    assert holders[mirrors.APT_CREDENTIALS] == (
        f"machine http://other:1 login me password {HIDDEN}%\n"
        f"machine http://proxy.example:3128 login me password {HIDDEN}%\n"
    )
    assert f"HTTPS_PROXY=http://me:{HIDDEN}%25@other:1\n" in holders["/etc/jupyterhub/downloads.env"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"E: http://me:{HIDDEN}@proxy:1/x: 407", "E: http://***@proxy:1/x: 407"),
        (f"https://a:{HIDDEN}@b and http://c:{HIDDEN}@d", "https://***@b and http://***@d"),
        ("http://proxy:3128/a:b@c", "http://proxy:3128/a:b@c"),
        ("git+ssh://git@host", "git+ssh://git@host"),
        ("12:30 me@host", "12:30 me@host"),
    ],
)
def test_programs_complaints_lose_the_password(text: str, masked: str) -> None:
    assert without_credentials(text) == masked


@pytest.mark.parametrize(("scheme", "first"), [("http", AptSources), ("https", TrustedCertificate)])
def test_a_mirror_is_asked_when_its_certificate_is_trusted(
    hub: Hub, tmp_path: Any, scheme: str, first: type[Resource]
) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = f"apt = {{debian = '{scheme}://m/debian'}}\nca_certificates = ['{tmp_path}/ca.pem']"
    steps = roles.base.steps(inputs(hub(f"[downloads]\n{text}")))
    order = [type(step) for step in steps if isinstance(step, AptSources | TrustedCertificate)]
    assert order[0] is first
    assert len(order) == 2


def test_an_engine_restarts_when_it_shall_trust_another_authority(hub: Hub, tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    found = every(hub(f"[downloads]\nca_certificates = ['{tmp_path}/ca.pem']"))
    docker = found["service:docker"]
    assert isinstance(docker, Service)
    assert [id_ for id_ in docker.watches if id_.startswith("certificate:hubwright-ca-")]


def test_installers_come_from_the_folder_with_their_own_checksums(hub: Hub) -> None:
    plain, mirrored = (
        resource
        for text in ("", "[downloads]\nconda_installers = 'https://m/miniconda/'")
        for resource in every(hub(text)).values()
        if isinstance(resource, CondaPrefix)
    )
    for (machine, url, digest), (_, ours, same) in zip(plain.installers, mirrored.installers, strict=True):
        assert ours == f"https://m/miniconda/{url.rpartition('/')[2]}"
        assert ours.endswith(f"{machine}.sh")
        assert same == digest
    assert plain.id == mirrored.id


@pytest.mark.parametrize("asked", [False, True])
def test_a_certificate_is_renewed_through_the_proxy(hub: Hub, asked: bool) -> None:
    acme = "[hub]\ndomain = 'hub.example.org'\n[tls]\nmode = 'letsencrypt'\nemail = 'a@example.org'\n"
    timer = every(hub(f"{acme}[downloads]\n{PROXY if asked else ''}"))["timer:hubwright-certificate"]
    assert isinstance(timer, Timer)
    assert ("EnvironmentFile=-/etc/jupyterhub/downloads.env\n" in timer.service) is asked


# --- visitors -------------------------------------------------------------------------------------


def server(settings: Settings) -> Any:
    config = Config()
    hub = json.loads(roles.hub.hub_json(inputs(settings)))
    jupyterhub_config.configure(config, {**hub, "services": []})
    return config


def test_visitors_get_nothing_of_it_unless_they_shall(hub: Hub, tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    everything = f"pypi = 'https://m'\nca_certificates = ['{tmp_path}/ca.pem']"
    config = server(proxied(hub, everything))
    assert not [name for name in config.Spawner.environment if not name.startswith("HUBWRIGHT_")]
    assert "read_only_volumes" not in config.DockerSpawner


def test_visitors_get_mirrors_proxy_and_certificates(hub: Hub, tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    text = f"notebooks = true\npypi = 'https://m'\nca_certificates = ['{tmp_path}/ca.pem']\n"
    text += "[server.environment]\nPIP_INDEX_URL = 'https://mine'"
    config = server(proxied(hub, text))
    given = config.Spawner.environment
    assert given["UV_DEFAULT_INDEX"] == "https://m"
    assert given["PIP_INDEX_URL"] == "https://mine"  # the operator's variables of servers win
    assert given["https_proxy"] == "http://proxy.example:3128"
    assert "172.30.0.1" in given["no_proxy"].split(",")
    trusted = {key for key, value in given.items() if value == BUNDLE}
    assert {"PIP_CERT", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CONDA_SSL_VERIFY"} <= trusted
    assert config.DockerSpawner.read_only_volumes == {BUNDLE: BUNDLE}


def test_an_image_s_own_certificates_stay_where_there_are_no_others(hub: Hub) -> None:
    config = server(proxied(hub, "notebooks = true"))
    assert BUNDLE not in config.Spawner.environment.values()
    assert "read_only_volumes" not in config.DockerSpawner
