"""A person at work notices nothing when the hub, or the container engine, restarts."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.hosts.containers import Host
from tests.support.visitor import Visitor

LATER = 5.0  # seconds; JupyterHub itself would wait for 10


@pytest.mark.parametrize("unit", ["jupyterhub", "docker"])
def test_kernel_and_its_websocket_survive(machine: Host, unit: str) -> None:
    async def scenario() -> None:
        visitor = Visitor(machine.url)
        server = await visitor.arrive()
        kernel = await visitor.open_kernel()
        await kernel.run("answer = 6 * 7")
        containers = machine.run("docker ps --quiet --filter name=^hubwright-server-")
        started = machine.start_time(unit)

        machine.run(f"systemctl restart {unit}")

        assert machine.start_time(unit) > started
        assert await kernel.run("print(answer)") == "42\n", "the same socket, the same memory"
        assert machine.run("docker ps --quiet --filter name=^hubwright-server-") == containers
        machine.wait_for_hub()
        assert await visitor.arrive() == server, "the hub knows whose server it is"
        again = await visitor.open_kernel()
        assert await again.run("print(1)") == "1\n"
        await visitor.get(f"{machine.url}hub/home")
        assert await visitor.leave() == 204

    asyncio.run(scenario())


def test_hub_answers_while_docker_does_not(machine: Host) -> None:
    """As after a boot, when Docker starts late: only visitors who have a server wait for it."""

    def seconds_until_it_answers() -> float:
        began = time.monotonic()
        machine.run("systemctl restart jupyterhub")
        machine.wait_for_hub()
        return time.monotonic() - began

    async def scenario() -> None:
        visitor = Visitor(machine.url)
        server = await visitor.arrive()
        usual = seconds_until_it_answers()
        machine.run("systemctl kill --signal=STOP docker")
        try:
            # A busy computer makes some starts slow, not all; a hub that waits is slow each time.
            assert any(seconds_until_it_answers() < usual + LATER for _ in range(3))
        finally:
            machine.run("systemctl kill --signal=CONT docker")
        assert await visitor.arrive() == server
        await visitor.get(f"{machine.url}hub/home")
        assert await visitor.leave() == 204

    asyncio.run(scenario())
