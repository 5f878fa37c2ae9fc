"""The machine of the provider docker: a container, asked about with Docker itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provision.errors import HubwrightError
from provision.machines import docker, machine_of
from provision.machines.docker import Container
from provision.report.reporter import Reporter
from provision.settings import Settings
from tests.support.fakes.programs import Programs, failed
from tests.support.fakes.vagrant import Vagrant, inspected, made

Hub = Callable[..., Settings]
QUIET = Reporter(quiet=True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (inspected(), Container(True, 2222, ((8000, 443),))),
        (inspected(running=False, port=18000, hub_port=80), Container(False, 2222, ((18000, 80),))),
        ('[{"State": {"Running": true}, "HostConfig": {"PortBindings": null}}]', Container(True, None, ())),
        (
            '[{"State": {"Running": true}, "HostConfig": {"PortBindings": {"22/tcp": null}}}]',
            Container(True, None, ()),
        ),
    ],
)
def test_containers(text: str, found: Container) -> None:
    assert docker.parse(text) == found


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (inspected(), "running"),
        (inspected(running=False), "stopped"),
        (failed("Error response from daemon: No such container: 0123456789ab"), "not created"),
        (failed("Error: No such container: 0123456789ab"), "not created"),
    ],
)
def test_docker_says_how_its_machine_is(hub: Hub, programs: Programs, answer: Any, status: str) -> None:
    settings = hub()
    assert machine_of(settings).status() == "not created"
    assert programs.calls == []
    made(machine_of(settings).paths.dotfile, "docker")
    programs.answers["docker container inspect 0123456789ab"] = answer
    assert machine_of(settings).status() == status


def test_a_docker_that_does_not_answer_is_no_missing_machine(hub: Hub, programs: Programs) -> None:
    settings = hub()
    made(machine_of(settings).paths.dotfile, "docker")
    programs.answers["docker container inspect"] = failed("Cannot connect to the Docker daemon")
    with pytest.raises(HubwrightError, match="Docker does not answer"):
        machine_of(settings).status()


def test_up_keeps_the_key_of_a_machine_that_was_stopped(
    hub: Hub, programs: Programs, vagrant: Vagrant
) -> None:
    settings = hub()
    machine_of(settings).up(QUIET)
    programs.answers["docker container inspect"] = inspected(running=False)
    machine_of(settings).up(QUIET)
    assert vagrant.calls == ["up docker", "up docker"]
    assert len(programs.called("ssh-keygen")) == 1


@pytest.mark.parametrize("running", [True, False])
def test_ports_that_the_machine_does_not_have_are_refused(
    hub: Hub, programs: Programs, vagrant: Vagrant, running: bool
) -> None:
    settings = hub("[vm]\nport = 18000")
    made(machine_of(settings).paths.dotfile, "docker")
    programs.answers["docker container inspect"] = inspected(running=running, port=8000)
    with pytest.raises(HubwrightError, match=r"8000 to 443.*now say 18000 to 443") as caught:
        machine_of(settings).up(QUIET)
    assert "hubwright destroy" in caught.value.hint
    assert vagrant.calls == []


def test_a_name_of_somebody_elses_container_is_refused(
    hub: Hub, programs: Programs, vagrant: Vagrant
) -> None:
    programs.answers["docker ps --all --quiet --filter name=^/hubwright$"] = "ba9876543210\n"
    with pytest.raises(
        HubwrightError, match="named hubwright exists and belongs to another folder or program"
    ):
        machine_of(hub()).up(QUIET)
    assert vagrant.calls == []
    assert not programs.called("docker rm")


def test_what_a_killed_run_left_is_removed(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    settings = hub()
    label = f"docker ps --all --quiet --filter label=hubwright.state={settings.state}"
    programs.answers[label] = "ba9876543210\n"
    machine_of(settings).up(QUIET)
    assert programs.called("docker rm") == ["docker rm --force --volumes ba9876543210"]
    assert vagrant.calls == ["up docker"]


def test_docker_is_asked_for_the_address_each_time(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    settings = hub()
    machine_of(settings).up(QUIET)
    found = machine_of(settings).target()
    assert (found.host, found.port, found.user, found.made_here) == ("127.0.0.1", 2222, "vagrant", True)
    programs.answers["docker container inspect"] = inspected().replace("2222", "2200")
    assert machine_of(settings).target().port == 2200
    assert vagrant.calls == ["up docker"]
    assert machine_of(settings).ssh_argv(["uptime"])[-3:] == ["2200", "vagrant@127.0.0.1", "uptime"]
