"""What a virtual machine asks of this computer, and what is said when it cannot be had."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision import hypervisors, kvm
from provision.errors import HubwrightError
from provision.report import Reporter
from provision.settings import Settings
from provision.vm import console, driver, paths, virtual
from tests.unit.programs import Programs, failed, not_installed

Hub = Callable[..., Settings]
GIB = 1024**3
KVM = "qemu-system-x86_64 -accel kvm"


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    programs = Programs.install(monkeypatch, hypervisors, kvm)
    programs.answers = {KVM: failed(exit_code=kvm.REACHED_THE_END)}
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return programs


# --- providers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["docker", "libvirt"])
def test_a_provider_that_answers_is_good_enough(programs: Programs, provider: str) -> None:
    hypervisors.require(provider)
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
    programs: Programs, provider: str, answers: dict[str, Any], what: str, hints: tuple[str, ...]
) -> None:
    programs.answers |= {"VBoxManage": not_installed("VBoxManage"), **answers}
    with pytest.raises(HubwrightError, match=what) as caught:
        hypervisors.require(provider)
    for words in hints:
        assert words in caught.value.hint


# --- KVM ----------------------------------------------------------------------------------------


def test_kvm_that_runs_nothing_is_refused_with_the_way_around(hub: Hub, programs: Programs) -> None:
    virtual.refuse_missing_kvm(hub(), Reporter(quiet=True))
    programs.answers[KVM] = failed(exit_code=None)
    with pytest.raises(
        HubwrightError, match=r"KVM runs no guests: /dev/kvm is there, but a guest hangs"
    ) as caught:
        virtual.refuse_missing_kvm(hub(), Reporter(quiet=True))
    assert 'accelerator = "emulation"' in caught.value.hint


def test_emulation_is_told(hub: Hub, programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    site = '[vm]\naccelerator = "emulation"\n'
    virtual.refuse_missing_kvm(hub(site=site), Reporter())
    said = capsys.readouterr().err
    assert "emulated" in said
    assert "[server] start_timeout is 60 s" in said
    virtual.refuse_missing_kvm(hub(site=f'{site}[server]\nstart_timeout = "3m"'), Reporter())
    assert "start_timeout" not in capsys.readouterr().err
    assert programs.calls == []


# --- memory and disk ----------------------------------------------------------------------------


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: Programs) -> Programs:
    """With 8 GiB of memory free, and 30 GiB on its disk."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    monkeypatch.setattr(virtual, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=30 * GIB))
    programs.answers["virsh --connect qemu:///system --quiet pool-dumpxml"] = f"<path>{tmp_path}/pool</path>"
    return programs


@pytest.mark.parametrize("provider", ["libvirt", "virtualbox"])
@pytest.mark.usefixtures("computer")
def test_what_fits_is_let_through(hub: Hub, provider: str) -> None:
    virtual.refuse_too_large(hub('[vm]\nmemory = "8G"\ndisk = "30G"'), provider)


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
        virtual.refuse_too_large(hub(f"[vm]\n{keys}"), "libvirt")
    assert f"[vm] {keys.split()[0]}" in caught.value.hint


def test_a_computer_that_tells_nothing_of_its_memory(
    hub: Hub, computer: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer.answers["virsh"] = failed("error: Storage pool not found")
    monkeypatch.setattr(virtual, "MEMINFO", Path("/nowhere"))
    virtual.refuse_too_large(hub(), "libvirt")
    assert virtual.parse_available("MemFree: 12 kB\n") is None


# --- what a killed run left ----------------------------------------------------------------------

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
    virtual.remove_orphans(settings)
    assert programs.called(f"{VIRSH} undefine hubwright-default")
    assert programs.called(f"{VIRSH} vol-delete") == [
        f"{VIRSH} vol-delete hubwright-default.img --pool default"
    ]


def test_a_machine_of_somebody_else_is_left_alone(hub: Hub, programs: Programs) -> None:
    programs.answers |= {
        f"{VIRSH} list": "hubwright-default\n",
        f"{VIRSH} desc": "Source: /home/Vagrantfile\n",
    }
    with pytest.raises(HubwrightError, match="hubwright-default exists in libvirt and is not ours") as caught:
        virtual.remove_orphans(hub())
    assert "[vm] name" in caught.value.hint
    assert not programs.called(f"{VIRSH} undefine")
    assert not programs.called(f"{VIRSH} vol-delete")


def test_nothing_left_is_nothing_to_do(hub: Hub, programs: Programs) -> None:
    virtual.remove_orphans(hub())
    assert not programs.called(f"{VIRSH} vol-list")


# --- what Vagrant says ---------------------------------------------------------------------------

NO_BOX = """
The box 'nobody/nothing' could not be found or
could not be accessed in the remote catalog. If this is a private
box on HashiCorp's Vagrant Cloud, please verify you're logged in via
"""
NO_ANSWER = """
Timed out while waiting for the machine to boot. This means that
Vagrant was unable to communicate with the guest machine within
"""


@pytest.mark.parametrize(
    ("said", "what", "hint"),
    [
        (NO_BOX, "there is no box cloud-image/ubuntu-24.04", "[vm] box"),
        ("The provider 'libvirt' could not be found, but was requested", "vagrant-libvirt", "setup.sh --vm"),
        (NO_ANSWER, "it was started, but never answered SSH", "[vm] boot_timeout (now 300 s)"),
        ("Fog::Errors::TimeoutError: The specified wait_for timeout", "never answered SSH", "boot_timeout"),
        (
            "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
            "4.0 GiB",
            "memory",
        ),
    ],
)
def test_words_of_vagrant(hub: Hub, said: str, what: str, hint: str) -> None:
    error = driver.explain(said, hub())
    assert error is not None
    assert what in error.what
    assert hint in error.hint


def test_other_words_are_left_as_they_are(hub: Hub) -> None:
    assert driver.explain("The machine is locked by another process", hub()) is None


def test_the_console_has_the_last_word(hub: Hub) -> None:
    settings = hub()
    file = paths.console_file(settings)
    console.clear(settings)
    assert console.last_words(settings) == []
    file.touch()
    assert console.last_words(settings) == ["its console is silent"]
    output = b"".join(b"\x1b[0;32m  OK  \x1b[0m line %d\r\n" % number for number in range(50))
    file.write_bytes(output + b"\x1b[2JKernel panic \xe2\x80\xa6\x07\r\n\r\n")
    error = driver.explain(NO_ANSWER, settings)
    assert error is not None
    lines = error.what.splitlines()
    assert lines[1] == "its console said last:"
    assert lines[-2:] == ["  OK   line 49", "  Kernel panic"]
    assert len(lines) == 2 + console.LINES
    console.clear(settings)
    assert console.last_words(settings) == []


def test_what_a_shutdown_says_is_left_out(hub: Hub) -> None:
    settings = hub()
    file = paths.console_file(settings)
    console.clear(settings)
    console.close(settings)
    assert console.last_words(settings) == []
    file.write_bytes(b"no root device\n")
    console.close(settings)
    with file.open("ab") as more:
        more.write(b"Powering off.\n")
    assert console.last_words(settings) == ["its console said last:", "  no root device"]
    console.clear(settings)
    file.write_bytes(b"no root device\nPowering off.\n")
    assert console.last_words(settings)[-1] == "  Powering off."


def test_a_console_that_only_root_may_read_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = hub()
    console.clear(settings)
    file = paths.console_file(settings)
    file.touch()

    def refuse(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert console.last_words(settings) == [f"its console's last words are in {file}, for root to read"]
