"""The machine that Vagrant raises, with any provider."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from provision.cli import cli
from provision.errors import HubwrightError
from provision.machines import machine, machine_of, vagrant_facts
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.tools.project import PROJECT
from tests.support.fakes.programs import Programs
from tests.support.fakes.vagrant import Vagrant, inspected, made

Hub = Callable[..., Settings]
QUIET = Reporter(quiet=True)


def test_the_vagrantfile_uses_what_it_is_given(hub: Hub) -> None:
    text = (PROJECT / "Vagrantfile").read_text(encoding="utf-8")
    facts = vagrant_facts(hub())
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
    made(machine_of(settings).paths.dotfile, "libvirt")
    vagrant.state = state
    assert machine_of(settings).status() == status


def test_up_makes_what_vagrant_needs_and_is_quick_afterwards(
    hub: Hub, programs: Programs, vagrant: Vagrant
) -> None:
    settings = hub()
    machine_of(settings).up(QUIET)
    assert vagrant.calls == ["up docker"]
    assert programs.called("docker build")
    facts = vagrant_facts(settings)
    assert (
        Path(facts["environment_file"]).read_text() == "HUBWRIGHT_AUTHORIZED_KEY=ssh-ed25519 AAAA hubwright\n"
    )
    assert Path(facts["private_key"]).parent.stat().st_mode & 0o077 == 0

    programs.calls.clear()
    machine_of(settings).up(QUIET)
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
        machine_of(settings).prepare(QUIET)
    assert "[vm] port" in caught.value.hint
    assert not programs.called("docker build")
    assert not settings.state.exists()


def test_other_providers_need_no_docker(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    machine_of(hub(), "libvirt").up(QUIET)
    assert vagrant.calls == ["up libvirt", "conf", "relay", "set the clock"]
    assert not programs.called("docker")


@pytest.mark.parametrize("provider", ["docker", "libvirt"])
def test_destroy_leaves_nothing_but_what_others_keep(
    hub: Hub, programs: Programs, vagrant: Vagrant, provider: str
) -> None:
    settings = hub()
    machine_of(settings, provider).up(QUIET)
    machine_of(settings).target()
    machine_of(settings).destroy(QUIET)
    assert vagrant.calls[-1] == "destroy"
    assert not settings.state.exists()
    assert {path.name for path in settings.root.iterdir()} == {"hub.toml"}

    settings.state.mkdir()
    (settings.state / "notes").touch()
    programs.calls.clear()
    machine_of(settings).destroy(QUIET)
    assert [path.name for path in settings.state.iterdir()] == ["notes"]
    assert vagrant.calls.count("destroy") == 1


@pytest.mark.usefixtures("programs", "vagrant")
def test_destroy_says_that_there_is_no_machine(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    settings = hub()
    machine_of(settings).destroy(Reporter())
    assert "✓ there is no machine hubwright\n" in capsys.readouterr().err
    machine_of(settings).up(QUIET)
    machine_of(settings).destroy(Reporter())
    assert "✓ remove the machine hubwright" in capsys.readouterr().err


def test_a_url_is_that_of_a_machine_that_runs(
    hub: Hub, programs: Programs, vagrant: Vagrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub()
    monkeypatch.setenv("HUBWRIGHT_CONFIG", str(settings.root / "hub.toml"))

    def url() -> tuple[str, str]:
        ended = CliRunner().invoke(cli, ["url"], standalone_mode=False)
        return ended.stdout, str(ended.exception or "")

    assert url() == ("", "the machine hubwright: is not created")
    machine_of(settings).up(QUIET)
    assert url() == ("https://127.0.0.1:8000/\n", "")
    programs.answers["docker container inspect"] = inspected(running=False)
    assert url() == ("", "the machine hubwright: is stopped")
    assert vagrant.calls == ["up docker"]


def test_halt_stops_what_runs(hub: Hub, programs: Programs, vagrant: Vagrant) -> None:
    settings = hub()
    machine_of(settings).halt(QUIET)
    assert vagrant.calls == []
    machine_of(settings).up(QUIET)
    machine_of(settings).halt(QUIET)
    assert vagrant.calls == ["up docker", "halt"]
    programs.answers["docker container inspect"] = inspected(running=False)
    with pytest.raises(HubwrightError, match="the machine hubwright: is stopped") as caught:
        machine_of(settings).target()
    assert "hubwright up" in caught.value.hint


@pytest.mark.usefixtures("programs")
def test_vagrant_is_asked_for_the_address_once_after_each_start(hub: Hub, vagrant: Vagrant) -> None:
    settings = hub("[vm]\nprovider = 'libvirt'")
    machine_of(settings).up(QUIET)
    for _ in range(2):
        found = machine_of(settings).target()
        assert (found.host, found.port, found.identity) == ("192.0.2.7", 22, Path("/a key"))
    assert vagrant.calls.count("conf") == 1
    machine_of(settings).halt(QUIET)
    machine_of(settings).target()
    assert vagrant.calls.count("conf") == 2


@pytest.mark.usefixtures("programs")
def test_a_vagrant_at_work_tells_how_to_log_in_and_is_not_asked(hub: Hub, vagrant: Vagrant) -> None:
    settings = hub("[vm]\nprovider = 'libvirt'")
    made(machine_of(settings).paths.dotfile, "libvirt")
    access = {"HostName": "192.0.2.8", "Port": 22, "User": "vagrant", "IdentityFile": "/its key"}
    told = CliRunner().invoke(
        cli, ["--config", str(settings.root / "hub.toml"), "after-start", "--access", json.dumps(access)]
    )
    assert told.exit_code == 0, told.output
    assert vagrant.calls == ["relay", "set the clock"]
    found = machine_of(settings).target()
    assert (found.host, found.port, found.identity) == ("192.0.2.8", 22, Path("/its key"))
    text = (PROJECT / "Vagrantfile").read_text(encoding="utf-8")
    assert set(re.findall(r"(\w+): (?:info\[|key\b)", text)) == set(access), "as the Vagrantfile tells it"


@pytest.mark.usefixtures("programs", "vagrant")
def test_a_machine_that_never_greets_is_an_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hub()
    machine_of(settings).up(QUIET)
    clock = iter(range(0, 1000, 30))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(machine, "_greets", lambda _: False)
    with pytest.raises(HubwrightError, match=r"SSH on 127\.0\.0\.1:2222 does not answer in 60 s"):
        machine_of(settings).up(QUIET)


def test_each_project_has_a_machine_of_its_own(hub: Hub) -> None:
    settings = hub()
    assert machine_of(settings).paths.dotfile == settings.root / ".hubwright" / "vagrant"
    beside = settings.model_copy(update={"root": PROJECT})
    assert machine_of(beside).paths.dotfile == PROJECT / ".vagrant"  # where `vagrant ssh` looks
