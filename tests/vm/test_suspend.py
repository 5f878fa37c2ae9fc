"""After the machine has slept, visitors find everything as it was, and its clock is right again."""

from __future__ import annotations

import asyncio
import time

from tests.support.visitor import Kernel, Visitor, visit
from tests.vm.machines import Machine, virsh
from tests.vm.times import note

ASLEEP = 30.0  # seconds: enough to be told from a clock that is a little off
OFF = 5.0  # seconds, with the time that it takes to ask


def test_kernel_keeps_its_memory_while_the_machine_sleeps(machine: Machine) -> None:
    async def before() -> tuple[Visitor, str]:
        visitor = Visitor(machine.url, timeout=machine.start_timeout)
        await visitor.arrive()
        kernel = await visitor.open_kernel()
        await kernel.run("answer = 6 * 7")
        return visitor, kernel.id

    async def after(visitor: Visitor, kernel: str) -> str:
        again = Kernel(visitor, kernel)
        await again.connect()
        printed = await again.run("print(answer)")
        await visitor.get(f"{machine.url}hub/home")
        assert await visitor.leave() == 204
        return printed

    visitor, kernel = asyncio.run(before())
    booted = machine.run("cat /proc/sys/kernel/random/boot_id")

    began = time.monotonic()
    machine.operator.vagrant("suspend")
    note("vagrant suspend", time.monotonic() - began)
    assert virsh("domstate", machine.domain).strip() == "shut off", "its memory is on the disk"
    machine.wait_until_gone()
    machine.operator.hubwright("apply", code=1).says("hubwright up")
    time.sleep(ASLEEP)
    began = time.monotonic()
    machine.operator.vagrant("resume")
    note("vagrant resume", time.monotonic() - began)

    asked = time.time()
    theirs = float(machine.run("date +%s.%N"))
    assert asked - OFF < theirs < time.time() + OFF
    assert machine.run("cat /proc/sys/kernel/random/boot_id") == booted
    machine.wait_for_hub()
    assert asyncio.run(after(visitor, kernel)) == "42\n", "the same kernel, the same memory"


def test_hub_goes_on_after_it(machine: Machine) -> None:
    assert machine.operator.hubwright("apply").unchanged
    seen = asyncio.run(visit(machine.url, "print(6 * 7)", timeout=machine.start_timeout))
    assert seen["printed"] == "42\n"
