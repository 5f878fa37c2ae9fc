"""Plain `vagrant`, without hubwright in front: the hub is back after each restart."""

from __future__ import annotations

import asyncio

from tests.e2e.hosts import Host
from tests.e2e.operators import Operator
from tests.visitor import visit


def test_halt_and_up(operator: Operator, machine: Host) -> None:
    operator.vagrant("halt")
    operator.hubwright("apply", code=1).says("is stopped", "hubwright up")
    done = operator.vagrant("up")
    assert "0 changed, everything holds" in done.out + done.err
    assert machine.url in done.out
    assert asyncio.run(visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"


def test_reload(operator: Operator, machine: Host) -> None:
    booted = machine.run("cat /proc/1/stat").split()[21]
    operator.vagrant("reload")
    assert machine.run("cat /proc/1/stat").split()[21] != booted
    machine.wait_for_hub()
    assert asyncio.run(visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"


def test_ssh(operator: Operator, machine: Host) -> None:
    assert operator.vagrant("ssh", "--command", "hostname").out.strip() == machine.container


def test_up_after_a_power_cut(operator: Operator, machine: Host) -> None:
    """The machine starts by itself; the hub with it, before anybody deploys again."""
    machine.cut_power()
    machine.wait_for_hub()
    assert operator.hubwright("up").unchanged
    assert asyncio.run(visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"
