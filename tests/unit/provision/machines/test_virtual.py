"""The needs of a virtual machine, and the messages when this computer does not meet them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.errors import HubwrightError, SettingsError
from provision.machines import docker, kvm, libvirt, machine_of, virsh, virtual, virtualbox
from provision.machines.libvirt import LibvirtMachine
from provision.machines.virtual import VirtualMachine
from provision.report.reporter import Reporter
from provision.settings import Settings
from tests.support.fakes.programs import Programs, failed, not_installed

Hub = Callable[..., Settings]
GIB = 1024**3
KVM = "qemu-system-x86_64 -accel kvm"


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs.install(monkeypatch, docker, libvirt, virsh, virtualbox, kvm)
    programs.answers = {KVM: failed(exit_code=kvm.REACHED_THE_END)}
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return programs


# --- providers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["docker", "libvirt"])
def test_a_provider_that_answers_is_good_enough(hub: Hub, programs: Programs, provider: str) -> None:
    machine_of(hub(), provider)._require()
    assert programs.calls


@pytest.mark.parametrize(
    ("provider", "answers", "what", "hints"),
    [
        (
            "libvirt",
            {"virsh": not_installed("virsh")},
            "raised with libvirt: virsh is not installed",
            ("provision/setup.sh --vm", "here docker would work: `hubwright up --provider docker`"),
        ),
        (
            "libvirt",
            {"virsh": failed("error: Failed to connect socket to '/var/run/libvirt/libvirt-sock'")},
            "raised with libvirt: libvirt does not answer",
            ("systemctl start libvirtd", "--provider docker"),
        ),
        (
            "libvirt",
            {"virsh": failed("error: authentication unavailable: no polkit agent")},
            "this user may not use libvirt",
            ("usermod -aG libvirt",),
        ),
        (
            "docker",
            {"docker": not_installed("docker"), "virsh": not_installed("virsh")},
            "raised with docker: docker is not installed",
            ("`make setup` installs", "no other provider works here", "hubwright apply -H"),
        ),
        (
            "virtualbox",
            {"docker": not_installed("docker")},
            "raised with virtualbox: VBoxManage is not installed",
            ("https://www.virtualbox.org", "here libvirt would work"),
        ),
    ],
)
def test_what_would_work_is_told(
    hub: Hub, programs: Programs, provider: str, answers: dict[str, Any], what: str, hints: tuple[str, ...]
) -> None:
    programs.answers |= {"VBoxManage": not_installed("VBoxManage"), **answers}
    with pytest.raises(HubwrightError, match=what) as caught:
        machine_of(hub(), provider)._require()
    for words in hints:
        assert words in caught.value.hint


def test_a_provider_that_is_none_of_ours_is_refused(hub: Hub, programs: Programs) -> None:
    with pytest.raises(SettingsError, match="with vmware_desktop") as caught:
        machine_of(hub(), "vmware_desktop")
    assert "docker, libvirt, virtualbox" in caught.value.hint
    assert programs.calls == []


# --- KVM ----------------------------------------------------------------------------------------


def test_kvm_that_runs_nothing_is_refused_with_the_way_around(hub: Hub, programs: Programs) -> None:
    LibvirtMachine(hub())._check_computer(Reporter(quiet=True))
    programs.answers[KVM] = failed(exit_code=None)
    with pytest.raises(
        HubwrightError, match=r"KVM runs no guests: /dev/kvm is there, but a guest hangs"
    ) as caught:
        LibvirtMachine(hub())._check_computer(Reporter(quiet=True))
    assert 'accelerator = "emulation"' in caught.value.hint


def test_emulation_is_told(hub: Hub, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    site = '[vm]\naccelerator = "emulation"\n'
    LibvirtMachine(hub(site=site))._check_computer(Reporter())
    said = capsys.readouterr().err
    assert "emulated" in said
    assert "[server] start_timeout is 60 s" in said
    LibvirtMachine(hub(site=f'{site}[server]\nstart_timeout = "3m"'))._check_computer(Reporter())
    assert "start_timeout" not in capsys.readouterr().err
    assert programs.calls == []


# --- memory and disk ----------------------------------------------------------------------------


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: Programs) -> Programs:
    """A computer with 8 GiB of memory free, and 30 GiB on its disk."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    monkeypatch.setattr(virtual, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=30 * GIB))
    programs.answers["virsh --connect qemu:///system --quiet pool-dumpxml"] = f"<path>{tmp_path}/pool</path>"
    return programs


@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
@pytest.mark.usefixtures("computer")
def test_what_fits_is_let_through(hub: Hub, provider: str) -> None:
    machine = machine_of(hub('[vm]\nmemory = "8G"\ndisk = "30G"'), provider)
    assert isinstance(machine, VirtualMachine)
    machine.refuse_too_large()


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ('memory = "64G"', r"not enough memory: it asks for 64\.0 GiB, and 8\.0 GiB are free"),
        ('disk = "2T"', r"not enough room: it asks for a disk of 2048\.0 GiB, and at .* 30\.0 GiB are free"),
    ],
)
@pytest.mark.usefixtures("computer")
def test_what_does_not_fit_is_refused(hub: Hub, keys: str, what: str) -> None:
    with pytest.raises(HubwrightError, match=what) as caught:
        LibvirtMachine(hub(f"[vm]\n{keys}")).refuse_too_large()
    assert f"[vm] {keys.split()[0]}" in caught.value.hint


def test_a_computer_that_tells_nothing_of_its_memory(
    hub: Hub, computer: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer.answers["virsh"] = failed("error: Storage pool not found")
    monkeypatch.setattr(virtual, "MEMINFO", Path("/nowhere"))
    LibvirtMachine(hub()).refuse_too_large()
    assert virtual.parse_available("MemFree: 12 kB\n") is None


# --- leftovers of a killed run -------------------------------------------------------------------

VIRSH = "virsh --connect qemu:///system --quiet"


def test_what_a_killed_run_left_is_removed(hub: Hub, programs: Programs) -> None:
    settings = hub()
    programs.answers |= {
        f"{VIRSH} list": "other\nhubwright-default\n",
        f"{VIRSH} desc": f"hubwright.state={settings.state}\n",
        f"{VIRSH} destroy": failed("error: domain is not running"),
        f"{VIRSH} pool-list": "default\n",
        f"{VIRSH} vol-list": " hubwright-default.img   /pool/h.img\n box.img   /pool/box.img\n",
    }
    LibvirtMachine(settings)._remove_orphans()
    assert programs.called(f"{VIRSH} undefine hubwright-default")
    assert programs.called(f"{VIRSH} vol-delete") == [
        f"{VIRSH} vol-delete hubwright-default.img --pool default"
    ]


def test_a_machine_of_somebody_else_is_left_alone(hub: Hub, programs: Programs) -> None:
    programs.answers |= {
        f"{VIRSH} list": "hubwright-default\n",
        f"{VIRSH} desc": "Source: /home/Vagrantfile\n",
    }
    with pytest.raises(
        HubwrightError, match="hubwright-default exists in libvirt and belongs to another"
    ) as caught:
        LibvirtMachine(hub())._remove_orphans()
    assert "[vm] name" in caught.value.hint
    assert not programs.called(f"{VIRSH} undefine")
    assert not programs.called(f"{VIRSH} vol-delete")


def test_nothing_left_is_nothing_to_do(hub: Hub, programs: Programs) -> None:
    LibvirtMachine(hub())._remove_orphans()
    assert not programs.called(f"{VIRSH} vol-list")
