from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from provision import hypervisors, images, kvm, vm
from provision.cli import cli
from provision.errors import HubwrightError
from provision.report import Reporter
from provision.settings import Settings
from provision.vm import container, driver, forward, virtual
from provision.vm.container import Container
from tests.unit.programs import Programs, failed

Hub = Callable[..., Settings]
QUIET = Reporter(quiet=True)


def inspected(*, running: bool = True, port: int = 8000, hub_port: int = 443) -> str:
    bindings = {
        "22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "2222"}],
        f"{hub_port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}],
    }
    return json.dumps([{"State": {"Running": running}, "HostConfig": {"PortBindings": bindings}}])


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Programs:
    monkeypatch.setenv("HUBWRIGHT_CACHE", str(tmp_path / "cache"))
    programs = Programs.install(monkeypatch, container, hypervisors, images, kvm)

    def keygen(argv: list[str], **_: object) -> str:
        Path(argv[-1]).write_text("private")
        Path(f"{argv[-1]}.pub").write_text("ssh-ed25519 AAAA hubwright\n")
        return ""

    programs.answers["ssh-keygen"] = keygen
    programs.answers["qemu-system-x86_64 -accel kvm"] = failed(exit_code=kvm.REACHED_THE_END)
    return programs


class Vagrant:
    """python-vagrant, as far as it is used. `up` makes the machine that Docker then tells of."""

    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self.calls: list[str] = []
        self.state = "running"
        self.notes = Path()

    def up(self, provider: str, stream_output: bool) -> Iterator[str]:
        assert stream_output
        self.calls.append(f"up {provider}")
        made(self.notes, provider)
        self.programs.answers["docker container inspect"] = inspected()
        yield "==> default: Creating the container...\n"

    def halt(self) -> None:
        self.calls.append("halt")

    def destroy(self) -> None:
        self.calls.append("destroy")

    def status(self) -> list[SimpleNamespace]:
        self.calls.append("status")
        return [SimpleNamespace(state=self.state)]

    def conf(self) -> dict[str, str]:
        self.calls.append("conf")
        return {"HostName": "192.0.2.7", "Port": "22", "User": "vagrant", "IdentityFile": '"/a key"'}


@pytest.fixture
def vagrant(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> Vagrant:
    fake = Vagrant(programs)

    @contextmanager
    def for_settings(settings: Settings) -> Iterator[Vagrant]:
        fake.notes = vm.dotfile(settings)
        yield fake

    monkeypatch.setattr(vm, "vagrant", for_settings)
    monkeypatch.setattr(vm, "_greets", lambda _: True)
    monkeypatch.setattr(vm, "_refuse_taken_port", lambda _: None)
    monkeypatch.setattr(vm, "command", lambda *_: fake.calls.append("set the clock"))
    monkeypatch.setattr(forward, "start", lambda _: fake.calls.append("relay"))
    monkeypatch.setattr(forward, "runs", lambda _: False)
    monkeypatch.setattr(virtual, "MEMINFO", Path("/nowhere"))
    return fake


def made(notes: Path, provider: str) -> None:
    folder = notes / "machines" / "default" / provider
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "id").write_text("0123456789ab")


def test_the_vagrantfile_uses_what_it_is_given(hub: Hub) -> None:
    text = (images.PROJECT / "Vagrantfile").read_text(encoding="utf-8")
    facts = vm.vagrant_facts(hub())
    assert set(re.findall(r'facts\["(\w+)"\]', text)) == set(facts)
    assert json.loads(json.dumps(facts)) == facts


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
    assert container.parse(text) == found


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
    assert vm.status(settings) == "not created"
    assert programs.calls == []
    made(vm.dotfile(settings), "docker")
    programs.answers["docker container inspect 0123456789ab"] = answer
    assert vm.status(settings) == status


def test_a_docker_that_does_not_answer_is_no_missing_machine(hub: Hub, programs: Programs) -> None:
    settings = hub()
    made(vm.dotfile(settings), "docker")
    programs.answers["docker container inspect"] = failed("Cannot connect to the Docker daemon")
    with pytest.raises(HubwrightError, match="Docker does not answer"):
        vm.status(settings)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("running", "running"),
        ("shutoff", "stopped"),
        ("poweroff", "stopped"),
        ("saved", "suspended"),
        ("inaccessible", "running"),
        ("gurumeditation", "gurumeditation"),
    ],
)
def test_vagrant_says_how_other_machines_are(hub: Hub, vagrant: Vagrant, state: str, status: str) -> None:
    settings = hub()
    made(vm.dotfile(settings), "libvirt")
    vagrant.state = state
    assert vm.status(settings) == status


def test_up_makes_what_vagrant_needs_and_is_quick_afterwards(
    hub: Hub, programs: Programs, vagrant: Vagrant
) -> None:
    settings = hub()
    vm.up(settings, QUIET)
    assert vagrant.calls == ["up docker"]
    assert programs.called("docker build")
    facts = vm.vagrant_facts(settings)
    assert (
        Path(facts["environment_file"]).read_text() == "HUBWRIGHT_AUTHORIZED_KEY=ssh-ed25519 AAAA hubwright\n"
    )
    assert Path(facts["private_key"]).parent.stat().st_mode & 0o077 == 0

    programs.calls.clear()
    vm.up(settings, QUIET)
    assert vagrant.calls == ["up docker"]
    assert {call.rpartition(" ")[0] for call in programs.calls} == {"docker container inspect"}


def test_up_keeps_the_key_of_a_machine_that_was_stopped(
    hub: Hub, programs: Programs, vagrant: Vagrant
) -> None:
    settings = hub()
    vm.up(settings, QUIET)
    programs.answers["docker container inspect"] = inspected(running=False)
    vm.up(settings, QUIET)
    assert vagrant.calls == ["up docker", "up docker"]
    assert len(programs.called("ssh-keygen")) == 1


@pytest.mark.parametrize("running", [True, False])
def test_ports_that_the_machine_does_not_have_are_refused(
    hub: Hub, programs: Programs, vagrant: Vagrant, running: bool
) -> None:
    settings = hub("[vm]\nport = 18000")
    made(vm.dotfile(settings), "docker")
    programs.answers["docker container inspect"] = inspected(running=running, port=8000)
    with pytest.raises(HubwrightError, match=r"8000 to 443.*now say 18000 to 443") as caught:
        vm.up(settings, QUIET)
    assert "hubwright destroy" in caught.value.hint
    assert vagrant.calls == []


def test_a_taken_port_is_refused_before_anything_is_made(
    hub: Hub, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub()

    def bind(*_: object) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(HubwrightError, match=r"port 8000 of 127\.0\.0\.1") as caught:
        vm.prepare(settings, QUIET)
    assert "[vm] port" in caught.value.hint
    assert not programs.called("docker build")
    assert not settings.state.exists()


def test_a_name_of_somebody_elses_container_is_refused(
    hub: Hub, programs: Programs, vagrant: Vagrant
) -> None:
    programs.answers["docker ps --all --quiet --filter name=^/hubwright$"] = "ba9876543210\n"
    with pytest.raises(HubwrightError, match="a container named hubwright exists and is not ours"):
        vm.up(hub(), QUIET)
    assert vagrant.calls == []
    assert not programs.called("docker rm")


def test_what_a_killed_run_left_is_removed(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    settings = hub()
    label = f"docker ps --all --quiet --filter label=hubwright.state={settings.state}"
    programs.answers[label] = "ba9876543210\n"
    vm.up(settings, QUIET)
    assert programs.called("docker rm") == ["docker rm --force --volumes ba9876543210"]
    assert vagrant.calls == ["up docker"]


def test_other_providers_need_no_docker(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    vm.up(hub(), QUIET, provider="libvirt")
    assert vagrant.calls == ["up libvirt", "conf", "relay", "set the clock"]
    assert not programs.called("docker")


@pytest.mark.parametrize("provider", ["docker", "libvirt"])
def test_destroy_leaves_nothing_but_what_others_keep(
    hub: Hub, programs: Programs, vagrant: Vagrant, provider: str
) -> None:
    settings = hub()
    vm.up(settings, QUIET, provider)
    vm.target(settings)
    vm.destroy(settings, QUIET)
    assert vagrant.calls[-1] == "destroy"
    assert not settings.state.exists()
    assert {path.name for path in settings.root.iterdir()} == {"hub.toml"}

    settings.state.mkdir()
    (settings.state / "notes").touch()
    programs.calls.clear()
    vm.destroy(settings, QUIET)
    assert [path.name for path in settings.state.iterdir()] == ["notes"]
    assert vagrant.calls.count("destroy") == 1


def test_halt_stops_what_runs(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    settings = hub()
    vm.halt(settings, QUIET)
    assert vagrant.calls == []
    vm.up(settings, QUIET)
    vm.halt(settings, QUIET)
    assert vagrant.calls == ["up docker", "halt"]
    programs.answers["docker container inspect"] = inspected(running=False)
    with pytest.raises(HubwrightError, match="the machine hubwright: is stopped") as caught:
        vm.target(settings)
    assert "hubwright up" in caught.value.hint


def test_docker_is_asked_for_the_address_each_time(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    settings = hub()
    vm.up(settings, QUIET)
    found = vm.target(settings)
    assert (found.host, found.port, found.user, found.vouched) == ("127.0.0.1", 2222, "vagrant", True)
    programs.answers["docker container inspect"] = inspected().replace("2222", "2200")
    assert vm.target(settings).port == 2200
    assert vagrant.calls == ["up docker"]
    assert vm.ssh_argv(settings, ["uptime"])[-3:] == ["2200", "vagrant@127.0.0.1", "uptime"]


@pytest.mark.usefixtures("programs")
def test_vagrant_is_asked_for_the_address_once_after_each_start(hub: Hub, vagrant: Vagrant) -> None:
    settings = hub("[vm]\nprovider = 'libvirt'")
    vm.up(settings, QUIET)
    for _ in range(2):
        found = vm.target(settings)
        assert (found.host, found.port, found.identity) == ("192.0.2.7", 22, Path("/a key"))
    assert vagrant.calls.count("conf") == 1
    vm.halt(settings, QUIET)
    vm.target(settings)
    assert vagrant.calls.count("conf") == 2


@pytest.mark.usefixtures("programs")
def test_a_vagrant_at_work_tells_how_to_log_in_and_is_not_asked(hub: Hub, vagrant: Vagrant) -> None:
    settings = hub("[vm]\nprovider = 'libvirt'")
    made(vm.dotfile(settings), "libvirt")
    access = {"HostName": "192.0.2.8", "Port": 22, "User": "vagrant", "IdentityFile": "/its key"}
    told = CliRunner().invoke(
        cli, ["--config", str(settings.root / "hub.toml"), "settle", "--access", json.dumps(access)]
    )
    assert told.exit_code == 0, told.output
    assert vagrant.calls == ["relay", "set the clock"]
    found = vm.target(settings)
    assert (found.host, found.port, found.identity) == ("192.0.2.8", 22, Path("/its key"))
    text = (images.PROJECT / "Vagrantfile").read_text(encoding="utf-8")
    assert set(re.findall(r"(\w+): (?:info\[|key\b)", text)) == set(access), "as the Vagrantfile tells it"


@pytest.mark.usefixtures("programs", "vagrant")
def test_a_machine_that_never_greets_is_an_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hub()
    vm.up(settings, QUIET)
    clock = iter(range(0, 1000, 30))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(vm, "_greets", lambda _: False)
    with pytest.raises(HubwrightError, match=r"SSH on 127\.0\.0\.1:2222 does not answer in 60 s"):
        vm.up(settings, QUIET)


def test_each_project_has_a_machine_of_its_own(hub: Hub) -> None:
    settings = hub()
    assert vm.dotfile(settings) == settings.root / ".hubwright" / "vagrant"
    beside = settings.model_copy(update={"root": images.PROJECT})
    assert vm.dotfile(beside) == images.PROJECT / ".vagrant"  # where `vagrant ssh` looks


def test_what_vagrant_says_last_is_in_the_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hub()
    given: dict[str, str] = {}

    class Failing:
        def __init__(self, root: str, env: dict[str, str], out_cm: Any, err_cm: Any) -> None:
            assert root == str(images.PROJECT)
            given.update(env)
            with err_cm() as file:
                file.write(b"The provider 'docker' could not be found.\n")
            with out_cm() as file:  # still open, and the same
                file.write(b"Stopped.\n")

        def halt(self) -> None:
            raise subprocess.CalledProcessError(1, ["/usr/bin/vagrant", "halt"])

    monkeypatch.setitem(sys.modules, "vagrant", SimpleNamespace(Vagrant=Failing))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(HubwrightError) as caught, driver.vagrant(settings) as vagrant:
        vagrant.halt()
    assert str(caught.value).splitlines() == [
        "the machine hubwright: `vagrant halt` failed with exit code 1",
        "The provider 'docker' could not be found.",
        "Stopped.",
    ]
    assert given["HUBWRIGHT_CONFIG"] == str(settings.root / "hub.toml")
    assert given["HUBWRIGHT_DRIVER"] == "1"
    assert given["VAGRANT_DOTFILE_PATH"] == str(vm.dotfile(settings))


def test_a_missing_vagrant_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(HubwrightError, match="vagrant is not installed") as caught, driver.vagrant(hub()):
        pass
    assert "make setup" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("==> default: Creating the container...\n", "Creating the container..."),
        ("    default:   Name: hubwright\n", "Name: hubwright"),
        ("Bringing machine 'default' up\n", "Bringing machine 'default' up"),
        ("\rProgress: 99%\x1b[K\rProgress: 100%\x1b[K==> default: Creating image.\n", "Creating image."),
    ],
)
def test_lines_of_vagrant(line: str, plain: str) -> None:
    assert driver.plain(line) == plain
