"""A second deploy changes nothing on a virtual machine either."""

from __future__ import annotations

from tests.vm.machines import Machine


def test_second_deploy_changes_nothing(machine: Machine) -> None:
    before = machine.snapshot("managed")
    assert machine.operator.hubwright("apply").unchanged
    assert machine.snapshot("managed") == before


def test_up_leaves_a_machine_that_runs_alone(machine: Machine) -> None:
    booted = machine.run("cat /proc/sys/kernel/random/boot_id")
    done = machine.operator.hubwright("up")
    assert done.unchanged
    assert f"the machine {machine.operator.hub['vm']['name']} runs" in done.err
    assert done.out.strip() == machine.url
    assert machine.run("cat /proc/sys/kernel/random/boot_id") == booted


def test_another_provider_is_refused_for_the_same_machine(machine: Machine) -> None:
    machine.operator.hubwright("up", "--provider", "docker", code=2).says(
        "made with libvirt", "hubwright destroy"
    )
