"""`hubwright destroy` leaves nothing of a virtual machine on this computer."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.test_destroy import processes_that_name
from tests.vm.machines import Machine, virsh

NETWORK = "vagrant-libvirt"


def test_destroy_leaves_nothing_behind(machine: Machine) -> None:
    operator = machine.operator
    theirs = {path.name for path in operator.folder.iterdir()} - {operator.state.name}
    others = set(virsh("list", "--all", "--name").split()) - {machine.domain}
    assert machine.domain in virsh("list", "--all", "--name")
    assert f"{machine.domain}.img" in virsh("vol-list", "default")

    operator.hubwright("destroy", "--yes")

    assert machine.domain not in virsh("list", "--all", "--name")
    assert f"{machine.domain}.img" not in virsh("vol-list", "default")
    if not others:  # it belongs to every machine
        assert NETWORK not in virsh("net-list", "--all", "--name")
        assert not Path("/sys/class/net/virbr0").exists()
    assert {path.name for path in operator.folder.iterdir()} == theirs
    assert processes_that_name(str(operator.folder)) == []
    assert list(Path("/var/lib/libvirt/qemu/save").glob(f"{machine.domain}*")) == []


def test_destroyed_machine_is_not_there(machine: Machine) -> None:
    machine.operator.hubwright("apply", code=1).says("not created", "hubwright up")
    machine.operator.hubwright("destroy", "--yes")
