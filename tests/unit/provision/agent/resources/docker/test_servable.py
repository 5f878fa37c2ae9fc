"""Images of servers are tried once, and refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from provision.agent.resources import Problem, ServableImage
from provision.agent.resources.docker import servable
from provision.agent.resources.docker.servable import refuse_unfit
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine, converge, machine_for

TAG = "ours/image:1"
IMAGE = ServableImage(TAG, memory=256 << 20, cpu=0.5, pids=64, disk=1 << 30, answer_timeout=7)


@pytest.fixture
def machine(host: Host) -> FakeMachine:
    host.images.add(TAG)
    return machine_for(host, IMAGE)


def words(host: Host) -> list[str]:
    (command,) = host.ran("docker", "run")
    return command


def refused(machine: FakeMachine) -> Problem:
    """The reason of a refusal. Nothing is left of the trial, and the next run tries again."""
    with pytest.raises(Problem) as caught:
        IMAGE.apply(machine)
    host = machine.host
    if host.ran("docker", "run"):
        assert host.commands[-1] == ["docker", "rm", "--force", "--volumes", "hubwright.trial"]
    assert IMAGE.check(machine) is not None
    assert caught.value.hint
    return caught.value


def test_an_image_is_tried_once(host: Host, machine: FakeMachine) -> None:
    assert converge(machine, IMAGE) == [f"try a server of the image {TAG}"]
    assert host.trials == 1
    machine.looks.clear()
    host.commands.clear()
    assert converge(machine, IMAGE) == []
    assert len(host.commands) == 1, "which images there are, for all that ask"


def test_another_image_of_that_name_is_tried(
    host: Host, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    converge(machine, IMAGE)
    machine.looks.clear()
    monkeypatch.setattr(host, "image_id", lambda _: "another")
    assert converge(machine, IMAGE) != []


def test_a_server_is_tried_with_the_limits_of_servers(host: Host, machine: FakeMachine) -> None:
    converge(machine, IMAGE)
    command = " ".join(words(host))
    for option in (
        "--network none",
        f"--memory {256 << 20}",
        f"--memory-swap {256 << 20}",
        "--cpus 0.5",
        "--pids-limit 64",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        f"--ulimit fsize={1 << 30}",
    ):
        assert option in command
    assert words(host)[-1] == TAG, "with the command that it names"
    (visit,) = host.ran("nsenter")
    assert visit[-1] == "7"


def test_no_limit_of_disk_is_none(host: Host) -> None:
    unlimited = ServableImage(TAG, memory=1 << 30, cpu=1, pids=64)
    host.images.add(TAG)
    converge(machine_for(host, unlimited), unlimited)
    assert "--ulimit" not in words(host)


@pytest.mark.parametrize("config", [{"Cmd": None}, {"Cmd": []}, {"Entrypoint": ["tini", "--"]}])
def test_a_command_that_is_missing_is_supplied(
    host: Host, machine: FakeMachine, config: dict[str, Any]
) -> None:
    host.image["Config"] = {"User": "1000", **config}
    converge(machine, IMAGE)
    assert words(host)[-2:] == [TAG, "jupyterhub-singleuser"]


@pytest.mark.parametrize(
    ("user", "root"),
    [("", True), ("0", True), ("root", True), ("0:0", True), ("root:users", True), (None, True)]
    + [("jovyan", False), ("1000:0", False)],
)
def test_an_image_that_starts_as_root_is_refused(user: str | None, root: bool) -> None:
    image = {"Architecture": "amd64", "Config": {"User": user}}
    if not root:
        refuse_unfit(image, "amd64")
        return
    with pytest.raises(Problem, match="starts as root") as caught:
        refuse_unfit(image, "amd64")
    assert "USER" in caught.value.hint


def test_an_image_of_another_processor_is_refused_before_it_is_run(host: Host, machine: FakeMachine) -> None:
    host.image["Architecture"] = "arm64"
    assert refused(machine).what == "the image is made for arm64 processors, and this host has amd64"
    assert host.trials == 0


def test_a_user_of_another_name_may_be_root(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servable, "_is_root", lambda _: True)
    assert "starts as root" in refused(machine).what


NOT_FOUND = 'exec: "jupyterhub-singleuser": executable file not found in $PATH: unknown.'


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (None, "the image names no command, and jupyterhub-singleuser is not in it"),
        (["jupyterhub-singleuser"], "the command that the image names is not in it"),
    ],
)
def test_a_program_that_is_not_there(
    host: Host, machine: FakeMachine, command: list[str] | None, reason: str
) -> None:
    host.image["Config"]["Cmd"] = command
    host.script("docker", "run", answer=host.fails(f"5e7281c5\n{NOT_FOUND}\n\nRun 'docker run --help'", 127))
    problem = refused(machine)
    assert problem.what == f"{reason}\n{NOT_FOUND}"
    assert 'CMD ["jupyterhub-singleuser"]' in problem.hint


def test_what_else_docker_says_is_passed_on(host: Host, machine: FakeMachine) -> None:
    host.script("docker", "run", answer=host.fails("no space left on device", 125))
    with pytest.raises(Problem, match="no space left on device"):
        IMAGE.apply(machine)


@pytest.mark.parametrize(
    ("state", "reason", "hint"),
    [
        ({"Running": True}, "does not answer at port 8888 within 7 s", "start_timeout"),
        ({"Running": False, "ExitCode": 3}, "ends while it starts, with exit code 3", "any capability"),
        ({"Running": False, "Pid": 0, "ExitCode": 0}, "ends while it starts, with exit code 0", "CMD"),
        ({"Running": False, "ExitCode": 127}, "cannot start its command", "CMD"),
        ({"Running": False, "ExitCode": 137, "OOMKilled": True}, "more memory than 256 MiB", "memory"),
    ],
)
def test_a_server_that_does_not_answer(
    host: Host, machine: FakeMachine, state: dict[str, Any], reason: str, hint: str
) -> None:
    host.trial |= state
    host.answer = {}
    problem = refused(machine)
    assert reason in problem.what
    assert "last words of a server" in problem.what
    assert hint in problem.hint


def test_a_server_that_ends_before_it_can_be_visited(host: Host, machine: FakeMachine) -> None:
    host.trial |= {"Running": False, "ExitCode": 1}
    host.script("nsenter", answer=host.fails("cannot open /proc/1/ns/net"))
    assert "with exit code 1" in refused(machine).what


def test_a_visit_that_fails_is_no_fault_of_the_image(host: Host, machine: FakeMachine) -> None:
    host.script("nsenter", answer=host.fails("Operation not permitted"))
    with pytest.raises(Problem, match="not permitted"):
        IMAGE.apply(machine)


def test_a_server_of_another_kind_is_refused(host: Host, machine: FakeMachine) -> None:
    host.answer = {"status": 404, "version": ""}
    assert "not one of JupyterHub's" in refused(machine).what


def test_what_a_cut_run_left_goes_with_the_image(host: Host, machine: FakeMachine) -> None:
    converge(machine, IMAGE)
    host.commands.clear()
    IMAGE.remove(machine)
    assert host.commands == []
    machine.claim(IMAGE, trying=True)
    IMAGE.remove(machine)
    assert host.commands == [["docker", "rm", "--force", "--volumes", "hubwright.trial"]]


def test_the_container_is_no_visitor_s() -> None:
    assert not servable.CONTAINER.startswith("hubwright-")
