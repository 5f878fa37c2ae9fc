"""The disk of a virtual machine of libvirt: as a box for Vagrant, or as a qcow2 for other hypervisors."""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path

from provision.baking.deleted import without_deleted
from provision.deploy.bundle import PlacedFile
from provision.errors import HubwrightError
from provision.machines import Machine
from provision.machines.paths import USER
from provision.report.reporter import Reporter
from provision.tools.atomic import atomic
from provision.tools.process import ProgramError, run
from provision.tools.project import PROJECT

VAGRANT_KEY = PROJECT / "images" / "box" / "root" / "etc" / "vagrant.pub"


def box_files() -> list[PlacedFile]:
    """The files of a box beside the hub's: the key that Vagrant publishes, and replaces in new machines."""
    keys = f"/home/{USER}/.ssh/authorized_keys"
    return [PlacedFile(keys, VAGRANT_KEY.read_bytes(), 0o600)]


def export_box(machine: Machine, output: Path, reporter: Reporter) -> None:
    """Write the generalized machine as a box of Vagrant's. It is stopped afterwards."""
    with (
        atomic(output) as unfinished,
        tempfile.TemporaryDirectory(prefix=".hubwright-", dir=output.absolute().parent) as folder,
    ):
        image = Path(folder) / "box.img"
        size = _flatten(machine, image, reporter)
        metadata = Path(folder) / "metadata.json"
        described = {"provider": machine.provider, "format": "qcow2", "virtual_size": -(-size // 1024**3)}
        metadata.write_text(json.dumps(described), encoding="utf-8")
        with reporter.step(f"write {output}"), tarfile.open(unfinished, "w") as box:
            for path in (metadata, image):
                box.add(path, path.name)


def export_disk(machine: Machine, output: Path, reporter: Reporter) -> None:
    """Write the generalized machine's disk. It is stopped afterwards."""
    with atomic(output) as unfinished:
        _flatten(machine, unfinished, reporter)


def _flatten(machine: Machine, target: Path, reporter: Reporter) -> int:
    """Stop the machine and write its disk, with the content of its box, compressed. Returns its size."""
    with reporter.step(f"stop {machine.where}"):
        machine.power_off()
    disk = machine.disk()
    with tempfile.TemporaryDirectory(prefix=".hubwright-", dir=target.absolute().parent) as folder:
        raw, clean = Path(folder) / "raw", Path(folder) / "clean"
        with reporter.step("copy its disk without deleted files"):
            _read(disk, raw)
            kept = without_deleted(raw, clean)
            raw.unlink()
        if kept:
            reporter.line(f"  deleted files may still be in the image: it has {', '.join(sorted(kept))}")
        with reporter.step("compress its disk"):
            form = ["-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd"]
            run(["qemu-img", "convert", "-c", *form, str(clean), str(target)])
    told = json.loads(run(["qemu-img", "info", "--output=json", str(target)]))
    return int(told["virtual-size"])


def _read(disk: Path, target: Path) -> None:
    try:
        run(["qemu-img", "convert", "-O", "raw", str(disk), str(target)])
    except ProgramError as error:
        if "Permission denied" not in error.output:
            raise
        raise HubwrightError(
            "may not be read by this user", where=str(disk), hint="run this command as root"
        ) from None
