"""Miniconda in the settings, and the role that brings it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provision.errors import SettingsError
from provision.settings import Downloads, Python, Settings
from provision.settings.installers import installers
from roles import python as role
from roles.python import miniconda
from tests.support.fakes.host import Host, inputs
from tests.unit.roles.test_full_hub import Service

OLD, NEW = "0a" * 32, "0b" * 32


# --- settings and role ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("installer = 'https://x/a.sh'", "installer needs sha256 beside it"),
        (f"sha256 = '{OLD}'", "sha256 belongs to an installer of your own"),
        ("installer = 'file:///a.sh'", "begins with https:// or http://"),
        ("installer = '/srv/a.sh'", "begins with https:// or http://"),
        ("installer = 'https://me:hidden@x/a.sh'", "should carry no user and no password"),
        ("sha256 = 'abc'", "should be 64 hex digits"),
        ("channels = []", "at least 1 item"),
        ("channels = ['-x']", "should be a channel's name"),
        ("channels = ['a b']", "should be a channel's name"),
        ("channels = ['ftp://x/y']", "begins with https:// or http://"),
        ("version = '3.9'", "should be a version from 3.10 on"),
        ("version = '3.13 --yes'", "should be a version from 3.10 on"),
        ("version = 3.13", "should be text in quotes"),
        ("node = 18", "greater than or equal to 20"),
        ("provider = 'conda'", "'miniconda' or 'system'"),
    ],
)
def test_settings_that_cannot_be_meant(hub: Callable[..., Settings], text: str, message: str) -> None:
    with pytest.raises(SettingsError, match="python") as caught:
        hub(f"[python]\n{text}")
    assert message in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_both_distributions_are_pinned_for_both_machines() -> None:
    for distribution in ("miniconda", "miniforge"):
        known = installers(Python.model_validate({"distribution": distribution}), Downloads())
        assert {machine for machine, _, _ in known} == {"x86_64", "aarch64"}
        assert len({digest for _, _, digest in known}) == 2
        for machine, url, digest in known:
            assert url.startswith("https://")
            assert url.endswith(f"-Linux-{machine}.sh")
            assert "latest" not in url
            assert len(digest) == 64
            int(digest, 16)


def test_an_installer_of_one_s_own_holds_for_every_machine(hub: Callable[..., Settings]) -> None:
    own = hub(f"[python]\ninstaller = 'https://m/a.sh'\nsha256 = '{OLD.upper()}'").python
    assert installers(own, Downloads()) == (("any", "https://m/a.sh", OLD),)
    assert miniconda.interpreter(own).edition != miniconda.interpreter(Python()).edition


def test_the_role_of_each_provider(hub: Callable[..., Settings]) -> None:
    steps = {
        provider: [
            type(step).__name__ for step in role.steps(inputs(hub(f"[python]\nprovider = '{provider}'")))
        ]
        for provider in ("miniconda", "system")
    }
    assert steps == {
        "miniconda": ["CondaPrefix", "CondaPython", "PythonEnv"],
        "system": ["AptPackages", "PythonEnv"],
    }
    assert hub().python.provider == "miniconda"


def test_providers_take_turns_and_nothing_of_the_other_stays(
    host: Host, hub: Callable[..., Settings]
) -> None:
    service = Service(host)
    conda_, system = hub("[python]\nprovider = 'miniconda'"), hub("[python]\nprovider = 'system'")
    service("apply", system)
    assert "python3-venv" in host.installed

    units = ("jupyterhub-proxy", "jupyterhub", "hubwright-culler", "hubwright-metrics", "hubwright-status")
    restarted = {f"service:{unit}" for unit in units}
    changed = service("apply", conda_)
    assert {id_ for id_, status in changed.items() if status == "changed"} == {
        "conda:/opt/miniconda3",
        "conda-python:/opt/hubwright",
        "python-env:/opt/hubwright",
        *restarted,
    }
    assert {id_ for id_, status in changed.items() if status == "removed"} == {"packages:python"}
    assert "python3-venv" not in host.installed
    assert service("apply", conda_) == {}

    changed = service("apply", system)
    assert {id_ for id_, status in changed.items() if status == "removed"} == {
        "conda:/opt/miniconda3",
        "conda-python:/opt/hubwright",
    }
    assert restarted <= set(changed)
    assert not Path(host.path("/opt/miniconda3")).exists()
    assert not Path(host.path("/opt/hubwright/interpreters")).exists()
    (environment,) = Path(host.path("/opt/hubwright/envs")).iterdir()
    assert "interpreters" not in (environment / "pyvenv.cfg").read_text()
    assert service("apply", system) == {}
