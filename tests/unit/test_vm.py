"""The machine that Vagrant raises, whatever its provider."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from provision import images, vm
from provision.cli import cli
from provision.errors import HubwrightError
from provision.report import Reporter
from provision.settings import Settings
from tests.unit.fake_vagrant import Vagrant, inspected, machine_programs, made
from tests.unit.programs import Programs

Hub = Callable[..., Settings]
QUIET = Reporter(quiet=True)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Programs:
    return machine_programs(monkeypatch, tmp_path / "cache")


@pytest.fixture
def vagrant(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> Vagrant:
    return Vagrant.install(monkeypatch, programs)


def test_the_vagrantfile_uses_what_it_is_given(hub: Hub) -> None:
    text = (images.PROJECT / "Vagrantfile").read_text(encoding="utf-8")
    facts = vm.vagrant_facts(hub())
    assert set(re.findall(r'facts\["(\w+)"\]', text)) == set(facts)
    assert json.loads(json.dumps(facts)) == facts


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
