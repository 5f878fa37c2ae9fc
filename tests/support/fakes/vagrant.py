"""A Vagrant that makes its machine at once, and the programs beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision.images import base
from provision.machines import docker, kvm, libvirt, machine, virsh, virtual, virtualbox
from provision.machines.driver import Driver
from provision.machines.forward import Forwarding
from tests.support.fakes.programs import Programs, failed


def inspected(*, running: bool = True, port: int = 8000, hub_port: int = 443) -> str:
    """Docker's description of a machine."""
    bindings = {
        "22/tcp": [{"HostIp": "127.0.0.1", "HostPort": "2222"}],
        f"{hub_port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}],
    }
    return json.dumps([{"State": {"Running": running}, "HostConfig": {"PortBindings": bindings}}])


def made(notes: Path, provider: str) -> None:
    """Write Vagrant's notes that it has made the machine."""
    folder = notes / "machines" / "default" / provider
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "id").write_text("0123456789ab")


def machine_programs(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Programs:
    """Programs of a computer on which every provider works."""
    monkeypatch.setenv("HUBWRIGHT_CACHE", str(cache))
    programs = Programs.install(monkeypatch, docker, libvirt, virsh, virtualbox, base, kvm)

    def keygen(argv: list[str], **_: object) -> str:
        Path(argv[-1]).write_text("private")
        Path(f"{argv[-1]}.pub").write_text("ssh-ed25519 AAAA hubwright\n")
        return ""

    programs.answers["ssh-keygen"] = keygen
    programs.answers["qemu-system-x86_64 -accel kvm"] = failed(exit_code=kvm.REACHED_THE_END)
    return programs


class Vagrant:
    """A python-vagrant, as far as it is used. `up` makes the machine that Docker then describes."""

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

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch, programs: Programs) -> Vagrant:
        """Replace the real one. Other calls that would reach a machine are noted here, or do nothing."""
        fake = cls(programs)

        @contextmanager
        def vagrant(driver: Driver) -> Iterator[Vagrant]:
            fake.notes = driver.paths.dotfile
            yield fake

        monkeypatch.setattr(Driver, "vagrant", vagrant)
        monkeypatch.setattr(machine, "_greets", lambda _: True)
        monkeypatch.setattr(machine, "_refuse_taken_port", lambda _: None)
        monkeypatch.setattr(libvirt, "command", lambda *_: fake.calls.append("set the clock"))
        monkeypatch.setattr(Forwarding, "start", lambda _: fake.calls.append("relay"))
        monkeypatch.setattr(Forwarding, "runs", lambda _: False)
        monkeypatch.setattr(virtual, "MEMINFO", Path("/nowhere"))
        return fake
