"""`vagrant up` alone ends with a hub on a virtual machine."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from provision.settings import load
from tests.support.operators import Done
from tests.support.visitor import visit
from tests.vm.machines import Machine
from tests.vm.times import note


def test_vagrant_up_alone_deploys(raised: tuple[Machine, Done]) -> None:
    machine, done = raised
    said = done.out + done.err
    assert machine.url in done.out
    settings = load(machine.operator.config)
    assert ("it is emulated" in said) == (settings.vm.accelerator == "emulation")
    deploy = re.search(r"\d+ changed, .*\((\d+\.\d) s\)", said)
    assert deploy, said
    note("of that, the deploy", float(deploy[1]))


def test_machine_is_as_large_as_the_settings_say(machine: Machine) -> None:
    vm = load(machine.operator.config).vm
    assert int(machine.run("nproc")) == vm.cpus
    memory = int(machine.run("awk '/^MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert 0.9 * vm.memory < memory <= vm.memory
    disk = int(machine.run("df --output=size --block-size=1 / | tail -n 1"))
    assert 0.9 * vm.disk < disk <= vm.disk


def test_it_is_the_machine_that_docker_does_not_fake(machine: Machine) -> None:
    """The machine has a kernel of its own, AppArmor, and control groups of version 2 alone."""
    assert machine.run("stat --file-system --format=%T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert machine.run("cat /sys/module/apparmor/parameters/enabled").strip() == "Y"
    assert machine.run("systemd-detect-virt").strip() in ("qemu", "kvm")


def test_emulated_processor_can_what_programs_ask_for(machine: Machine) -> None:
    """Linux also does not switch page tables at every system call, which is costly in emulation."""
    if load(machine.operator.config).vm.accelerator == "kvm":
        pytest.skip("it has this computer's processor")
    levels = machine.run("/lib64/ld-linux-x86-64.so.2 --help")
    assert re.search(r"x86-64-v2 \(supported", levels), levels
    assert re.search(r"^flags.*\baes\b", machine.run("cat /proc/cpuinfo"), re.MULTILINE)
    assert machine.run("cat /sys/devices/system/cpu/vulnerabilities/meltdown") == "Not affected\n"


def test_visitor_gets_a_kernel_from_outside(machine: Machine) -> None:
    seen = asyncio.run(visit(machine.url, "print(6 * 7)", timeout=machine.start_timeout))
    assert seen["printed"] == "42\n"
    note("the first visitor's JupyterLab, from the first request", seen["ready"])
    note("the first answer of a kernel, from the first request", seen["answered"])


def test_status_is_good(machine: Machine) -> None:
    [found] = json.loads(machine.operator.hubwright("status", "--json").out)
    assert found["healthy"]
