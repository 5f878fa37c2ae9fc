"""A machine that restarts, from the inside or by Vagrant, has its hub back without another deploy."""

from __future__ import annotations

import asyncio
import time

from tests.support.visitor import visit
from tests.vm.machines import Machine
from tests.vm.times import note

BACK = 60.0  # seconds of the machine's uptime


def test_hub_is_back_soon_after_a_reboot(machine: Machine) -> None:
    """The port on this computer leads to it again, too, without help."""
    booted = machine.run("cat /proc/sys/kernel/random/boot_id")
    machine.run("systemd-run --quiet --on-active=1 systemctl reboot")
    machine.wait_until_gone()
    back = machine.wait_for_hub()
    assert machine.run("cat /proc/sys/kernel/random/boot_id") != booted
    uptime = back - machine.started_at()
    note("the hub after a reboot, in the machine's uptime", uptime)
    assert uptime < BACK
    seen = asyncio.run(visit(machine.url, "print(6 * 7)", timeout=machine.start_timeout))
    assert seen["printed"] == "42\n"


def test_halt_and_up(machine: Machine) -> None:
    machine.operator.vagrant("halt")
    machine.operator.hubwright("apply", code=1).says("is stopped", "hubwright up")
    began = time.monotonic()
    done = machine.operator.vagrant("up")
    note("vagrant up of a machine that was halted", time.monotonic() - began)
    assert "0 changed, everything holds" in done.out + done.err
    assert machine.url in done.out
    seen = asyncio.run(visit(machine.url, "print(6 * 7)", timeout=machine.start_timeout))
    assert seen["printed"] == "42\n"
