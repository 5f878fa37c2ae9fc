"""Virtual machines without Vagrant and libvirt, started from a disk by QEMU itself."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provision.machines.libvirt import EMULATED_CPU, EMULATED_FEATURES
from provision.settings import load
from tests.support.hosts.containers import free_port, hub_answers
from tests.support.hosts.instances import served
from tests.support.operators import Operator
from tests.vm.machines import POLL

HERE_FOR_IT = "10.0.2.2"  # QEMU's name for this computer's loopback
BOOT_TIMEOUT = 1500.0  # seconds until a hub answers; emulated, a first boot takes some ten minutes in all
TAIL = 40  # lines


@dataclass(frozen=True)
class Instance:
    """A machine. On 127.0.0.1, `port` leads to its hub and `ssh_port` to its sshd; `key` lets `user` in."""

    port: int
    ssh_port: int
    console: Path
    user: str
    key: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"

    def wait_for_hub(self) -> None:
        """Wait until the hub answers through the proxy."""
        end = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            if hub_answers(self.url, timeout=20):
                return
            time.sleep(POLL)
        raise AssertionError(f"no hub answers at {self.url}; the console's last lines:\n{self.last_words()}")

    def run(self, script: str) -> str:
        """Standard output of a shell script that root runs there; fails the test when that fails."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        argv = ["ssh", *(word for option in options for word in ("-o", option)), "-i", str(self.key)]
        argv += ["-p", str(self.ssh_port), f"{self.user}@127.0.0.1", "sudo bash -eu -s"]
        done = subprocess.run(
            argv, input=script, capture_output=True, text=True, check=False, timeout=BOOT_TIMEOUT
        )
        assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"
        return done.stdout

    def last_words(self) -> str:
        return "\n".join(self.console.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])


@contextmanager
def instance(
    operator: Operator,
    disk: Path,
    user: str,
    key: Path,
    *,
    options: Sequence[str] = (),
    ssh_port: int = 0,
    alone: bool = False,
) -> Iterator[Instance]:
    """A machine on a copy of `disk`, a qcow2. `alone`: it reaches no network, not even this computer."""
    folder = disk.with_name(f"{disk.stem}-{free_port()}")
    folder.mkdir()
    ports = free_port(), ssh_port or free_port()
    vm = load(operator.config).vm
    forwards = f"hostfwd=tcp:127.0.0.1:{ports[0]}-:443,hostfwd=tcp:127.0.0.1:{ports[1]}-:22"
    emulated = ",".join([EMULATED_CPU, *(f"{feature}=on" for feature in EMULATED_FEATURES)])
    machine = ["-accel", "kvm", "-cpu", "host"] if vm.accelerator == "kvm" else ["-cpu", emulated]
    argv = ["qemu-system-x86_64", *machine, "-smp", str(vm.cpus), "-m", f"{vm.memory // 1024**2}"]
    argv += ["-drive", f"file={folder}/disk,if=virtio,format=qcow2", "-device", "virtio-rng-pci"]
    argv += ["-nic", f"user,model=virtio-net-pci,restrict={'on' if alone else 'off'},{forwards}"]
    argv += ["-display", "none", "-serial", f"file:{folder}/console", *options]
    make = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(disk.absolute())]
    subprocess.run([*make, f"{folder}/disk", str(vm.disk)], check=True)
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        yield Instance(*ports, folder / "console", user, key, process)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def disk_of(box: Path, folder: Path) -> Path:
    """The disk in a box for libvirt."""
    with tarfile.open(box) as archive:
        image = archive.extractfile("box.img")
        assert image is not None
        with (folder / "box.img").open("wb") as target:
            shutil.copyfileobj(image, target)
    return folder / "box.img"


@contextmanager
def published(folder: Path) -> Iterator[str]:
    """The URL of a folder, for machines that are not alone. It ends in a slash."""
    with served(folder, "127.0.0.1") as port:
        yield f"http://{HERE_FOR_IT}:{port}/"
