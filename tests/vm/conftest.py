"""A virtual machine of the tests' own under libvirt, emulated where KVM runs no guests: `tox run -e vm`.

One machine serves a whole session: raised by the first that needs it, destroyed by the last.
"""

from __future__ import annotations

import grp
import os
import platform
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from provision.machines.boxes import ensure_box
from provision.report.reporter import Reporter
from provision.settings import Settings, read_toml
from provision.survey import computer
from tests.support.hosts import ubuntu
from tests.support.hosts.containers import free_port
from tests.support.operators import PROJECT, Done, Operator
from tests.vm import times
from tests.vm.machines import COMMAND_TIMEOUT, LIBVIRT, Machine, virsh

# Packages of a deploy that apt would take minutes to install on an emulated machine.
PRELOADED = ("docker.io", "iptables", "openssl", "python3-venv")
KVM = Path("/dev/kvm")

ORDER = (
    "test_bad_input",
    "test_up",
    "test_second_run",
    "test_verify",
    "test_suspend",
    "test_restart",
    "test_bake",
    "test_no_answer",  # after it, no one can log in to the machine
    "test_destroy",
    "test_cloud_init",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if times.lines():
        terminalreporter.section("times")
        terminalreporter.line(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}")
        for line in times.lines():
            terminalreporter.line(line)


@pytest.fixture(scope="session", autouse=True)
def libvirt() -> Iterator[None]:
    """Start libvirt by hand, and end it again, where no service manager has started it."""
    if subprocess.run([*LIBVIRT, "list"], capture_output=True, check=False).returncode == 0:
        yield
        return
    daemons = []
    was = permit_kvm()
    try:
        for program in ("virtlogd", "libvirtd"):
            # libvirtd waits up to half a minute until each QEMU has gone from the table of processes: tini
            # reaps them where process 1 does not.
            argv = ["tini", "-s", "--", f"/usr/sbin/{program}"]
            daemons.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
            time.sleep(2)
        virsh("list")
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)
        if was:
            os.chown(KVM, was.st_uid, was.st_gid)
            KVM.chmod(stat.S_IMODE(was.st_mode))


def permit_kvm() -> os.stat_result | None:
    """Let libvirt's QEMU use KVM, as udev does. Returns the mode before, or None where there is no KVM.

    libvirtd finds as root that KVM is there; if its QEMU may not use it then, libvirtd tries again at each
    step, for seconds.
    """
    if not KVM.exists():
        return None
    was = KVM.stat()
    os.chown(KVM, -1, grp.getgrnam("kvm").gr_gid)
    KVM.chmod(0o660)
    return was


def make_box(folder: Path, mirrors: dict[str, Any], builder: dict[str, str]) -> Path:
    """A box from that archive, made once."""
    trial = {"root": folder, "image": {"build": "."}, "builder": builder, "downloads": mirrors}
    return ensure_box(Settings.model_validate(trial), Reporter(), PRELOADED)


def own_builder() -> dict[str, str]:
    """The [builder] for the archive that this computer's own packages come from."""
    archive = computer.own_archive()
    assert archive is not None, "apt's sources name no archive that a box could be made of"
    return {"base": "archive", **computer.builder_of(archive)}


@pytest.fixture(scope="session")
def operator() -> Iterator[Operator]:
    """An operator with the site.toml that `hubwright init` wrote, and the tests' own box in it."""
    name = f"hubwright-vm-{secrets.token_hex(3)}"
    folder = Path(f"/tmp/{name}")
    folder.mkdir(mode=0o700)
    hub: dict[str, dict[str, Any]] = {
        "image": {"build": str(PROJECT / "images" / "notebook")},
        "server": {"memory": "384M", "cpu": 1.0, "pids": 160, "start_timeout": "5m"},
        "vm": {"name": name, "port": free_port(), "memory": "3G", "cpus": 2, "disk": "12G"},
    }
    operator = Operator(folder, hub, COMMAND_TIMEOUT)
    operator.write(hub)
    try:
        operator.hubwright("init")
        found = read_toml(folder / "site.toml")
        box = make_box(folder, found.get("downloads", {}), own_builder())
        found["vm"] = {**found.get("vm", {}), "provider": "libvirt", "box": str(box)}
        (folder / "site.toml").write_text(tomli_w.dumps(found), encoding="utf-8")
        yield operator
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cloud_box(operator: Operator) -> tuple[Path, str]:
    """A box and its cloud-init's user: of Ubuntu where its archive answers, as the other box is Debian's."""
    mirrors = read_toml(operator.folder / "site.toml").get("downloads", {})
    with tempfile.TemporaryDirectory(prefix="hubwright-keys-") as folder:
        Path(folder).chmod(0o755)
        try:
            builder = ubuntu.builder(os.environ.get("HUBWRIGHT_TEST_UBUNTU", "noble"), Path(folder))
        except OSError:
            return make_box(operator.folder, mirrors, own_builder()), "debian"
        return make_box(operator.folder, mirrors, builder), "ubuntu"


@pytest.fixture(scope="session")
def raised(operator: Operator) -> Iterator[tuple[Machine, Done]]:
    """The machine, and the output of the one `vagrant up` that raised and deployed it."""
    machine = Machine(operator, operator.hub["vm"]["port"])
    known = set(operator.vagrant("box", "list").out.splitlines())
    began = time.monotonic()
    try:
        done = operator.vagrant("up", "--provider=libvirt")
        times.note("vagrant up, from nothing to a hub that answers", time.monotonic() - began)
        yield machine, done
    finally:
        operator.hubwright("destroy", "--yes")
        for line in set(operator.vagrant("box", "list").out.splitlines()) - known:
            forget_box(operator, line.split()[0])


def forget_box(operator: Operator, name: str) -> None:
    """Remove Vagrant's copy of the box and libvirt's. The one in the cache stays."""
    operator.vagrant("box", "remove", "--force", name)
    for volume in virsh("vol-list", "default").split()[::2]:
        if volume.startswith(f"{name}_vagrant_box_image_"):
            virsh("vol-delete", volume, "--pool", "default")


@pytest.fixture(scope="session")
def machine(raised: tuple[Machine, Done]) -> Machine:
    return raised[0]
