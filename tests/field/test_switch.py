"""A run prepares first and switches last: what fails on the way leaves people at work alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts.containers import Host, hub_answers
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import Operator
from tests.support.visitor import Visitor

UNITS = ("jupyterhub", "jupyterhub-proxy", "docker", "hubwright-fence", "hubwright-keeper")
FILES = "cd /etc; sha256sum jupyterhub/hub.json jupyterhub/*.py systemd/system/jupyterhub*.service"
FAULTY = "FROM {image}\nRUN exit 7\n"


@pytest.fixture(scope="module")
def host(operator: Operator, deployed: Template) -> Iterator[Host]:
    with deployed.host(f"{operator.hub['vm']['name']}-switch") as host:
        yield host


@pytest.fixture(scope="module")
def visitor(host: Host) -> Visitor:
    """A person at work on the host."""
    found = Visitor(host.url)
    asyncio.run(found.arrive())
    return found


@contextmanager
def settings(operator: Operator, **sections: Any) -> Iterator[None]:
    """The settings of the template with these keys changed; images are built on the host."""
    with operator.on_site(image={"build_on": "host"}), operator.changed(**{**QUICK, **sections}):
        yield


def faulty_image(host: Host, folder: Path) -> dict[str, Any]:
    """The section [image] of a folder whose image does not build."""
    folder.mkdir(exist_ok=True)
    image = json.loads(host.run("cat /etc/jupyterhub/hub.json"))["image"]
    (folder / "Dockerfile").write_text(FAULTY.format(image=image))
    return {"build": str(folder)}


def serving(host: Host) -> dict[str, Any]:
    """All that people at work depend on, and the files that a restart would read."""
    return {
        "units": {unit: host.start_time(unit) for unit in UNITS},
        "network": host.run("docker network inspect hubwright --format '{{.Id}}'"),
        "servers": host.run("docker ps --quiet --no-trunc --filter name=^hubwright-server-"),
        "files": host.run(FILES),
        "environment": host.run("readlink /opt/hubwright/current"),
    }


def works(visitor: Visitor) -> bool:
    """True when the server of a person at work answers through the front door."""
    return asyncio.run(visitor.request("GET", f"{visitor.server}api/status")).code == 200


def test_image_that_does_not_build_leaves_the_network_and_people_alone(
    operator: Operator, host: Host, there: tuple[str, ...], visitor: Visitor, tmp_path: Path
) -> None:
    before = serving(host)
    with settings(
        operator,
        image=faulty_image(host, tmp_path / "faulty"),
        network={"subnet": "172.29.0.0/20"},
        hub={"title": "Another"},
    ):
        done = operator.hubwright("apply", *there, code=1)
    assert "RUN exit 7" in done.err or "returned a non-zero code: 7" in done.err
    assert serving(host) == before
    assert works(visitor)
    assert hub_answers(host.url)
    assert "the hub serves as before" in done.err
    with settings(operator):
        operator.hubwright("status", *there)


def test_range_of_another_network_leaves_people_alone(
    operator: Operator, host: Host, there: tuple[str, ...], visitor: Visitor
) -> None:
    before = serving(host)
    host.run("docker network create --subnet 10.77.0.0/24 theirs")
    try:
        with settings(operator, network={"subnet": "10.77.0.0/16"}):
            done = operator.hubwright("apply", *there, code=1)
            done.says("10.77.0.0/16", "Docker's network theirs", "[network] subnet")
        assert "hubwright.trial" not in host.run("docker network ls")
    finally:
        host.run("docker network rm theirs")
    assert serving(host) == before
    assert works(visitor)


def test_own_configuration_that_is_refused_leaves_the_front_door_alone(
    operator: Operator, host: Host, there: tuple[str, ...], visitor: Visitor, tmp_path: Path
) -> None:
    """The first one comes with its check, which is not on the host yet; the second one meets it there."""
    (tmp_path / "own.py").write_text("c.JupyterHub.allow_named_servers = False\n")
    with settings(operator, extend={"hub_config": [str(tmp_path / "own.py")]}):
        operator.hubwright("apply", *there)
        before = serving(host)
        (tmp_path / "own.py").write_text("c.JupyterHub.no_such_option = 1\n")
    with settings(
        operator,
        extend={"hub_config": [str(tmp_path / "own.py")]},
        network={"subnet": "172.29.0.0/20"},
    ):
        done = operator.hubwright("apply", *there, code=1)
    done.says("own.py is refused", "no_such_option")
    assert serving(host) == before
    assert works(visitor)


def test_failure_in_the_middle_of_the_switch_names_what_is_down(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    """A unit that the host keeps from starting: nothing before the switch shows that."""
    drop_in = "/etc/systemd/system/jupyterhub.service.d/90-theirs.conf"
    host.run(f"mkdir -p $(dirname {drop_in}); printf '[Service]\\nExecStartPre=/bin/false\\n' >{drop_in}")
    host.run("systemctl daemon-reload")
    with settings(operator, hub={"title": "Another"}):
        done = operator.hubwright("apply", *there, code=1)
        done.says("people are affected: jupyterhub is")
        assert "serves as before" not in done.err
        assert "jupyterhub is" in operator.hubwright("status", *there, code=1).out
        host.run(f"rm {drop_in}; systemctl daemon-reload")
        operator.hubwright("apply", *there)
        operator.hubwright("status", *there)
        assert operator.hubwright("apply", *there).unchanged
