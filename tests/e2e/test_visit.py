"""A visitor from outside of the machine."""

from __future__ import annotations

import asyncio

from tests.e2e.hosts import Host
from tests.visitor import visit


def test_visitor_gets_a_kernel_that_answers(machine: Host) -> None:
    seen = asyncio.run(visit(machine.url, "print(6 * 7)"))
    assert seen["printed"] == "42\n"


def test_kernel_is_in_a_container_of_its_own(machine: Host) -> None:
    seen = asyncio.run(visit(machine.url, "import socket; print(socket.gethostname())"))
    short_id = seen["printed"].strip()
    user = seen["server"].rstrip("/").rpartition("/")[2]
    environment = machine.run(f"docker inspect --format '{{{{.Config.Env}}}}' {short_id}")
    assert f"JUPYTERHUB_USER={user}" in environment
