"""A visitor from outside of the machine."""

from __future__ import annotations

import asyncio

from tests.support.hosts.containers import Host
from tests.support.visitor import Visitor, visit


def test_visitor_gets_a_kernel_that_answers(machine: Host) -> None:
    seen = asyncio.run(visit(machine.url, "print(6 * 7)"))
    assert seen["printed"] == "42\n"


def test_kernel_is_in_a_container_of_its_own(machine: Host) -> None:
    seen = asyncio.run(visit(machine.url, "import socket; print(socket.gethostname())"))
    short_id = seen["printed"].strip()
    user = seen["server"].rstrip("/").rpartition("/")[2]
    environment = machine.run(f"docker inspect --format '{{{{.Config.Env}}}}' {short_id}")
    assert f"JUPYTERHUB_USER={user}" in environment


def test_server_that_died_leaves_no_container(machine: Host) -> None:
    async def scenario() -> None:
        visitor = Visitor(machine.url)
        await visitor.arrive()
        container = machine.run(f"docker ps --quiet --filter name={visitor.user.partition('-')[0]}").strip()
        assert container
        machine.run(f"docker kill {container}")
        await visitor.get(f"{machine.url}hub/home")
        assert container not in machine.run("docker ps --all --quiet").split()
        await visitor.arrive()
        assert await visitor.leave() == 204
        assert visitor.user not in machine.run("docker ps --all --no-trunc").replace("-2d", "-")

    asyncio.run(scenario())
