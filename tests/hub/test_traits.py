"""All that jupyterhub_config.py sets exists: each trait on its class, with a value that the class takes.

JupyterHub ignores a misspelt option, and says so in its log alone. These tests
need the hub's own packages (roles/locks/hub.txt): `tox -e hub`.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.metrics import PeriodicMetricsCollector
from jupyterhub.spawner import Spawner
from traitlets import TraitError
from traitlets.config import Config, Configurable

import jupyterhub_config
import roles
from provision.settings import load
from provision.settings.image_names import GRAPHITE, NOTEBOOK
from roles.shared.inputs import ImageSource
from tests.verify.test_hub_log import WORDS

IMAGE = f'\n[image]\nreference = "quay.io/group/notebook@sha256:{"0a" * 32}"\n'
SOURCES = {NOTEBOOK: ImageSource("notebook"), GRAPHITE: ImageSource("graphite")}
PASSWORDS = f'[auth]\nuser_password = "{"u" * 8}"\nadmin_password = "{"a" * 32}"\n'
HUBS = {
    "default": "",
    "without what can be left out": (
        "[monitoring]\ngraphite = false\n[server]\ndisk = 0\nidle_timeout = 0\n[tls]\nmode = 'off'\n"
    ),
    "with limits": (
        "[hub]\ntitle = 'A'\nannouncement = 'B'\n"
        "[server]\ncpu = 0.5\nmemory = '2G'\ndisk = '1G'\nmax_servers = 7\nenvironment = {A = '1'}\n"
    ),
    "with a shared password": "[auth]\ntype = 'shared-password'\n[users]\nadmins = ['ann']\n",
    "in frames": "[hub]\nframe_ancestors = ['https://lms.example.org']\n[server]\nopen = '/tree'\n",
    "behind a proxy": "[tls]\nmode = 'behind-proxy'\n[hub]\ndomain = 'hub.example.org'\n",
}


def configured(folder: Path, text: str) -> Config:
    """The traits of a hub that the roles describe."""
    (folder / "hub.toml").write_text(text + IMAGE, encoding="utf-8")
    if "shared-password" in text:
        (folder / "secrets.toml").write_text(PASSWORDS, encoding="ascii")
        (folder / "secrets.toml").chmod(0o600)
    settings = load(folder / "hub.toml", {})
    hub = json.loads(roles.hub.hub_json(roles.read_inputs(settings, SOURCES)))
    for service in hub["services"]:
        if "token_file" in service:
            service["token_file"] = str(folder / Path(service["token_file"]).name)
            Path(service["token_file"]).write_text("JUPYTERHUB_API_TOKEN=00ff\n", encoding="ascii")
    config = Config()
    jupyterhub_config.configure(config, hub)
    return config


def classes(config: Config) -> dict[str, type[Configurable]]:
    """The classes that the hub configures, by the names of their sections."""
    app = JupyterHub(config=config)
    leaves = [
        *app.classes,
        app.authenticator_class,
        app.spawner_class,
        app.proxy_class,
        PeriodicMetricsCollector,
    ]
    return {each.__name__: each for leaf in leaves for each in leaf.mro() if issubclass(each, Configurable)}


def unknown(config: Config) -> list[str]:
    """The options of a configuration that no class has."""
    known = classes(config)
    return [
        f"{section}.{trait}"
        for section, options in config.items()
        for trait in options
        if section not in known or trait not in known[section].class_trait_names(config=True)
    ]


def check_value(kind: type[Configurable], trait: str, value: object) -> None:
    """Set the trait. Raises TraitError for a value that the class does not take."""
    bare = kind.__new__(kind)  # a spawner needs a user and a hub
    kind.class_traits()[trait]._validate(bare, value)


@pytest.mark.parametrize("text", HUBS.values(), ids=HUBS)
def test_every_trait_exists_on_its_class(tmp_path: Path, text: str) -> None:
    assert unknown(configured(tmp_path, text)) == []


@pytest.mark.parametrize("text", HUBS.values(), ids=HUBS)
def test_every_class_takes_its_values(tmp_path: Path, text: str) -> None:
    config = configured(tmp_path, text)
    known = classes(config)
    for section, options in config.items():
        for trait, value in options.items():
            check_value(known[section], trait, value)


@pytest.mark.parametrize(("trait", "value"), [("mem_limit", "much"), ("start_timeout", "1m"), ("cmd", 7)])
def test_a_value_of_another_type_is_found(trait: str, value: object) -> None:
    with pytest.raises(TraitError):
        check_value(Spawner, trait, value)


def test_each_misspelt_trait_is_found(tmp_path: Path) -> None:
    config = configured(tmp_path, HUBS["with limits"])
    options = [(section, trait) for section in config for trait in config[section]]
    assert len(options) > 30
    for section, trait in options:
        wrong = Config(config)
        wrong[section] = Config({**config[section], f"{trait}s": config[section][trait]})
        assert unknown(wrong) == [f"{section}.{trait}s"]
    assert unknown(Config({"Spwaner": {"mem_limit": 1}})) == ["Spwaner.mem_limit"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (JupyterHub, {"JupyterHub": {"bind_ulr": "http://127.0.0.1:8000"}}),
        (Spawner, {"Spawner": {"mem_limt": 1}}),
        (Authenticator, {"Authenticator": {"alow_all": True}}),
        (Authenticator, {"Authenticator": {"whitelist": {"a"}}}),
        (JupyterHub, {"JupyterHub": {"proxy_auth_token": "x"}}),
    ],
)
def test_the_log_says_what_verify_looks_for(
    caplog: pytest.LogCaptureFixture, kind: type[Configurable], options: dict[str, Any]
) -> None:
    """See tests/verify/test_hub_log.py, which reads the log of a hub that runs."""
    kind(config=Config(options), log=logging.getLogger("hub"))
    assert re.search("|".join(WORDS), caplog.text)
