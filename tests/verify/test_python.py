"""The hub runs on the interpreter that the settings ask for."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.settings import Settings

INTERPRETERS = "/opt/hubwright/interpreters/"
CONDA = "/opt/miniconda3/bin/conda"


@pytest.fixture(scope="module")
def _from_conda(settings: Settings) -> None:
    if settings.python.provider != "miniconda":
        pytest.skip("the distribution's Python was asked for")


def program(host: Host, unit: str) -> str:
    """The file that a unit's process runs, with links resolved."""
    show = f"systemctl show {unit} --property=MainPID --value"
    return str(host.check_output(f"readlink /proc/$({show})/exe"))


@pytest.mark.usefixtures("_from_conda")
@pytest.mark.parametrize("unit", ["jupyterhub", "jupyterhub-proxy"])
def test_unit_runs_on_conda_packages(host: Host, unit: str) -> None:
    assert program(host, unit).startswith(INTERPRETERS)


@pytest.mark.usefixtures("_from_conda")
def test_interpreter_has_the_version_that_was_asked_for(host: Host, settings: Settings) -> None:
    version = host.check_output(f"{program(host, 'jupyterhub')} --version")
    assert f"{version}.".startswith(f"Python {settings.python.version}.")


@pytest.mark.usefixtures("_from_conda")
def test_conda_works(host: Host) -> None:
    assert host.check_output(f"{CONDA} --version").startswith("conda ")


def test_hub_runs_on_the_distributions_python(host: Host, settings: Settings) -> None:
    if settings.python.provider != "system":
        pytest.skip("conda's Python was asked for")
    assert program(host, "jupyterhub").startswith("/usr/")
