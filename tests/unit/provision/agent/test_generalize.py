"""A generalized hub: nothing of one machine is left, and what is left needs no network to be a hub again."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.agent import generalize
from provision.agent.channel import Channel
from provision.agent.loop import Run
from provision.agent.resources import Directory, DockerNetwork, File, Service
from provision.agent.state import State
from provision.deploy.bundle import manifest
from provision.settings import Settings
from tests.support.fakes.host import DISTRIBUTION, Host, relocated
from tests.support.fakes.machine import FakeMachine
from tests.unit.roles.test_full_hub import Service as Hub

OF_THE_NETWORK = ("apt-get", "download", "conda", "pip", "uv", "npm", "node", "bash")


def generalized(host: Host, settings: Settings, *files: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of all that was removed."""
    sink = io.BytesIO()
    content = relocated(json.loads(json.dumps(manifest(settings, [], mode="generalize"))), host)
    Run(
        content, Channel(io.BytesIO(), sink), State(host.path("/var/lib/hubwright")), DISTRIBUTION
    ).generalize(files)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


@pytest.fixture
def machine(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with the things that every machine has of its own beside a hub."""
    own = tuple((name, *map(host.path, patterns)) for name, *patterns in generalize.MACHINE_SPECIFIC)
    monkeypatch.setattr(generalize, "MACHINE_SPECIFIC", own)
    for name in ("MACHINE_ID", "JOURNAL"):
        monkeypatch.setattr(generalize, name, host.path(getattr(generalize, name)))
    monkeypatch.setattr("os.sync", lambda: None)
    for name in (
        "etc/machine-id",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/sshd_config",
        "home/someone/.ssh/authorized_keys",
        "root/.bash_history",
        "var/log/journal/0a0a/system.journal",
        "var/log/apt/term.log",
        "var/log/dpkg.log",
    ):
        path = host.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of this machine\n")
    host.script("journalctl", "--relinquish-var", answer="")
    host.script("apt-get", "clean", answer="")
    return host


def secrets_of(host: Host) -> dict[str, str]:
    found = sorted(Path(host.path("/etc/jupyterhub/secrets")).iterdir())
    return {path.name: path.read_text() for path in found}


def test_a_sealed_hub_holds_no_secret_and_becomes_a_hub_again_without_the_network(
    machine: Host, hub: Callable[..., Settings]
) -> None:
    service, settings = Hub(machine), hub()
    service("apply", settings)
    before = secrets_of(machine)
    assert len(before) >= 4
    database = Path(machine.path("/var/lib/jupyterhub/jupyterhub.sqlite"))
    database.write_text("users")
    (database.parent / "folder").mkdir()
    key = Path(machine.path("/etc/docker/key.json"))
    key.write_text("{}")
    addresses = Path(machine.path("/var/lib/docker/network/files/local-kv.db"))
    addresses.parent.mkdir(parents=True)
    addresses.write_text("docker0 has 172.18.0.1/16")
    machine.script("docker", "ps", "--all", answer="0a\n")  # a visitor's server
    machine.script("docker", "rm", answer="")

    gone = generalized(machine, settings)
    assert {event["status"] for event in gone} == {"removed"}, gone
    assert secrets_of(machine) == {}
    assert not list(Path(machine.path("/etc/jupyterhub/tls")).iterdir())
    assert not Path(machine.path("/etc/jupyterhub/hub.json")).exists()
    assert not list(database.parent.iterdir())
    assert not key.exists()
    assert not addresses.parent.parent.exists()
    assert machine.volumes == set()
    assert ["docker", "rm", "--force", "--volumes", "0a"] in machine.commands
    running = {name for name, unit in machine.units.items() if unit.active == "active" or unit.enabled}
    assert running == {"docker"}, "enabled, for the next boot"
    assert machine.units["docker"].active != "active", "it would write again what has been taken away"
    assert Path(machine.path("/var/lib/hubwright/journal.jsonl")).read_text() == ""
    left = "".join(text for _, _, text in machine.tree().values())
    assert not [secret for secret in before.values() if secret.strip() in left]

    machine.commands.clear()
    again = service("apply", settings)
    assert set(again.values()) == {"changed"}
    assert not [argv for argv in machine.commands if Path(argv[0]).name in OF_THE_NETWORK]
    assert not [argv for argv in machine.ran("docker") if argv[1] in ("pull", "build", "load")]
    after = secrets_of(machine)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert service("apply", settings) == {}
    assert set(service.remove(settings).values()) == {"removed"}, "claims have outlived the seal"


def test_the_machine_s_own_goes_and_the_first_boot_s_files_come(
    machine: Host, hub: Callable[..., Settings]
) -> None:
    keys = machine.path("/home/someone/.ssh/authorized_keys")
    files = [
        {"path": machine.path("/etc/systemd/system/first.service"), "mode": 0o644, "content": "dW5pdA=="},
        {"path": keys, "mode": 0o600, "content": base64.b64encode(b"a public key\n").decode()},
    ]
    said = [event["summary"] for event in generalized(machine, hub(), *files)]
    assert "take away the SSH host keys" in said
    files_of = (name for name in machine.tree() if (machine.folder / name).is_file())
    left = {name: machine.tree()[name][2] for name in files_of if not name.startswith("etc/apt/")}
    assert left == {
        "etc/machine-id": "",
        "etc/os-release": "ID=debian\n",
        "etc/ssh/sshd_config": "of this machine\n",
        "etc/ssl/certs/ca-certificates.crt": "the distribution's own\n",
        "etc/systemd/system/first.service": "unit",
        "home/someone/.ssh/authorized_keys": "a public key\n",
    }
    assert Path(keys).stat().st_mode & 0o777 == 0o600
    assert ["systemctl", "enable", "first.service"] in machine.commands
    assert list(Path(machine.path("/var/log/journal")).iterdir()) == []


def test_cloud_init_begins_anew(
    machine: Host, hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name == "cloud-init" else None)
    machine.script("cloud-init", answer="")
    generalized(machine, hub())
    assert ["cloud-init", "clean", "--logs"] in machine.commands


def test_what_cannot_be_sealed_leaves_the_machine_as_it_is(
    machine: Host, hub: Callable[..., Settings]
) -> None:
    service = Hub(machine)
    service("apply", hub())
    machine.script("systemctl", "stop", "jupyterhub.service", answer=machine.fails("stuck"))
    failed = [event for event in generalized(machine, hub()) if event["status"] == "failed"]
    assert [event["id"] for event in failed] == ["service:jupyterhub"]
    assert (machine.folder / "etc/ssh/ssh_host_ed25519_key").exists()


def test_most_of_a_hub_is_the_same_on_every_machine(host: Host) -> None:
    machine = FakeMachine(host)
    open_file = File(host.path("/etc/x"), "x")
    open_file.apply(machine)
    kept = Directory(host.path("/etc/y"))
    kept.apply(machine)
    network = DockerNetwork("hubwright", "172.30.0.0/20", "172.30.0.1", "hubwright0")
    for resource in (open_file, kept, network, Service("docker"), Service("absent", "[Unit]\n")):
        assert resource.generalize(machine) is None
    assert Path(open_file.path).exists()
