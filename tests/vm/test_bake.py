"""The machine as a box: the things that its copies share, those they do not, and the time it saves."""

from __future__ import annotations

import asyncio
import mmap
import subprocess
import time
from pathlib import Path

from tests.e2e.test_bake import OWN
from tests.support.operators import Operator
from tests.support.visitor import visit
from tests.vm.instances import Instance, disk_of, instance
from tests.vm.machines import Machine
from tests.vm.times import note

INSECURE = Path("~/.vagrant.d/insecure_private_key").expanduser()  # the key that every box accepts


def own(machine: Machine | Instance) -> dict[str, str]:
    return dict(line.split() for line in machine.run(OWN).splitlines())


def found(content: bytes, disk: Path, folder: Path) -> bool:
    """True if the content is anywhere on a disk, a qcow2."""
    raw = folder / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)], check=True)
    try:
        with raw.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as sectors:
            return sectors.find(content) >= 0
    finally:
        raw.unlink()


def test_copies_of_a_baked_machine(operator: Operator, machine: Machine, tmp_path: Path) -> None:
    before = own(machine)
    assert len(before) >= 8
    secret = machine.run("cat /etc/jupyterhub/secrets/culler.env").strip().encode()
    baked = tmp_path / "hub.box"
    began = time.monotonic()
    operator.hubwright("bake", "--yes", str(baked))
    note(f"bake, a box of {baked.stat().st_size / 1e6:.0f} MB", time.monotonic() - began)
    box = disk_of(baked, tmp_path)
    assert not found(secret, box, tmp_path), "deleted is gone"
    with instance(operator, box, "vagrant", INSECURE, alone=True) as copy:
        began = time.monotonic()
        copy.wait_for_hub()
        note(
            "a baked machine without a network, from power on to a hub that answers", time.monotonic() - began
        )
        seen = asyncio.run(visit(copy.url, "print(6 * 7)", timeout=machine.start_timeout))
        assert seen["printed"] == "42\n"
        note("its first visitor's JupyterLab, from the first request", seen["ready"])
        alone = own(copy)

    with operator.on_site(vm={"box": str(baked)}):
        began = time.monotonic()
        operator.hubwright("up")
        note("hubwright up of a baked machine, to a hub that answers", time.monotonic() - began)
        assert operator.hubwright("plan").unchanged
    seen = asyncio.run(visit(machine.url, "print(6 * 7)", timeout=machine.start_timeout))
    assert seen["printed"] == "42\n"
    assert machine.run("systemctl --failed --plain --no-legend") == ""
    raised = own(machine)
    assert alone.keys() == raised.keys() == before.keys()
    for thing in before:
        assert len({before[thing], alone[thing], raised[thing]}) == 3, thing
