"""A machine of the tests' own, raised and destroyed by them. One that `make up` raised is left alone.

`make e2e` runs two halves side by side: modules whose machines Vagrant raises, which does one thing at a time
for each Vagrantfile, and those with bare hosts.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts.containers import Host, docker, free_port
from tests.support.hosts.templates import Template, template
from tests.support.operators import PROJECT, Done, Operator

# The first modules that need the machine raise it, and the last destroy it; those that change it come late.
ORDER = (
    "test_deploy",
    "test_visit",
    "test_browser",
    "test_first_page",
    "test_second_run",
    "test_verify",
    "test_hub_restart",
    "test_monitoring",
    "test_crowd",
    "test_changes",
    "test_accounts",
    "test_extend",
    "test_images",
    "test_tls",
    "test_miniconda",
    "test_networks",
    "test_bad_input",
    "test_unfit_hosts",
    "test_existing_host",
    "test_fence",
    "test_firewalls",
    "test_distributions",
    "test_cloud_init",
    "test_bake",
    "test_new_folder",
    "test_vagrant",
    "test_destroy",
)


RAISE = {"raised", "baker", "own_folder"}  # fixtures whose machines Vagrant raises
ALL = "HUBWRIGHT_TEST_ALL"  # set: no row of a matrix is left out


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vagrant: Vagrant raises a machine for this module")
    config.addinivalue_line("markers", f"full: a row of a matrix that runs with {ALL}=1 alone")


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get(ALL):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)
    raising = {item.path for item in items if RAISE & set(getattr(item, "fixturenames", ()))}
    for item in items:
        if item.path in raising:
            item.add_marker(pytest.mark.vagrant)


@pytest.fixture(scope="session")
def operator() -> Iterator[Operator]:
    """An operator with a site.toml that `hubwright init` wrote."""
    name = f"hubwright-e2e-{secrets.token_hex(3)}"
    folder = Path(f"/tmp/{name}")
    folder.mkdir(mode=0o700)
    hub: dict[str, dict[str, Any]] = {
        "image": {"build": str(PROJECT / "images" / "notebook")},
        "server": {"memory": "384M", "cpu": 1.0, "pids": 160, "idle_timeout": "10m"},
        "vm": {"provider": "docker", "name": name, "port": free_port()},
    }
    operator = Operator(folder, hub)
    operator.write(hub)
    try:
        operator.hubwright("init")
        operator.hubwright("prepare")  # the image that hosts are made of, and a key to log in with
        yield operator
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def raised(operator: Operator) -> Iterator[tuple[Host, Done]]:
    """The machine, and the output of the `hubwright up` that raised and deployed it."""
    name, port = operator.hub["vm"]["name"], operator.hub["vm"]["port"]
    try:
        done = operator.hubwright("up")
        ssh_port = int(docker("port", name, "22/tcp").splitlines()[0].rpartition(":")[2])
        yield Host(name, ssh_port, port), done
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
        shutil.rmtree(operator.state, ignore_errors=True)


@pytest.fixture(scope="session")
def deployed(operator: Operator) -> Iterator[Template]:
    """The template of hosts for tests that need a deployed host, and not the deploy itself."""
    with template(operator) as found:
        yield found


@pytest.fixture(scope="session")
def machine(raised: tuple[Host, Done]) -> Host:
    return raised[0]


@pytest.fixture(scope="module")
def there(operator: Operator, host: Host) -> tuple[str, ...]:
    """The options that name the `host` of a module, with any host key."""
    return ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
