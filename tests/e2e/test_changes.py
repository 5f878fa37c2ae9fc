"""A changed hub.toml changes the machine: no more and no less than it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time

import pytest

from tests.support.hosts.containers import Host
from tests.support.operators import Operator
from tests.support.visitor import Visitor, visit

END_TIMEOUT = 180  # seconds until a server that writes too much has ended
CULLER = "hubwright-culler"
TRACES = ("/etc/systemd/system/hubwright-culler.service", "/etc/jupyterhub/secrets/culler.env")

# Run the culler's own command, which looks for idle servers every second, until it is stopped.
CULL_AT_ONCE = """
pid=$(systemctl show hubwright-culler --property=MainPID --value)
mapfile -d '' command <"/proc/$pid/cmdline"
command=("${command[@]/#--timeout=*/--timeout=1}")
command=("${command[@]/#--cull-every=*/--cull-every=1}")
export "$(tr '\\0' '\\n' <"/proc/$pid/environ" | grep ^JUPYTERHUB_API_TOKEN=)"
timeout 60 "${command[@]}" >/dev/null 2>&1 &
culler=$!
for _ in $(seq 100); do
    sleep 0.5
    [ -n "$(docker ps --quiet --filter name=^hubwright-server-)" ] || break
done
sleep 2
kill $culler
"""


def limit(machine: Host, server: str) -> int:
    """The memory limit of the container that belongs to a server's URL."""
    user = server.rstrip("/").rpartition("/")[2]
    containers = json.loads(machine.run("docker inspect $(docker ps --quiet)"))
    [found] = [c for c in containers if f"JUPYTERHUB_USER={user}" in c["Config"]["Env"]]
    return int(found["HostConfig"]["Memory"])


def taken(machine: Host) -> int:
    """The number of servers that run."""
    return len(machine.run("docker ps --quiet --filter name=^hubwright-server-").split())


def users(machine: Host) -> list[str]:
    return json.loads(  # type: ignore[no-any-return]
        machine.run(
            "python3 -c 'import json, sqlite3; "
            'db = sqlite3.connect("/var/lib/jupyterhub/jupyterhub.sqlite"); '
            'print(json.dumps([name for name, in db.execute("select name from users")]))\''
        )
    )


def test_feature_that_is_turned_off_goes(operator: Operator, machine: Host) -> None:
    assert machine.succeeds(f"systemctl is-active {CULLER} && ls {' '.join(TRACES)}")
    with operator.changed(server={"idle_timeout": 0}):
        plan = operator.hubwright("plan", code=3)
        assert f"remove service:{CULLER}" in plan.err
        operator.fab("plan", code=3)
        assert machine.succeeds(f"systemctl is-active {CULLER}"), "a plan only looks"
        operator.hubwright("apply")
        assert not machine.succeeds(f"systemctl cat {CULLER}")
        for path in TRACES:
            assert not machine.succeeds(f"test -e {path}")
        assert "culler" not in machine.run("cat /etc/jupyterhub/hub.json")
        assert operator.hubwright("apply").unchanged
        assert operator.hubwright("plan").unchanged
        operator.hubwright("status")
        operator.hubwright("verify", "-k", "unit_is_as_wanted")
    operator.hubwright("apply")
    assert machine.succeeds(f"systemctl is-active {CULLER} && ls {' '.join(TRACES)}")


def test_changed_limit_holds_for_who_comes_next(operator: Operator, machine: Host) -> None:
    async def scenario() -> None:
        visitor = Visitor(machine.url)
        server = await visitor.arrive()
        kernel = await visitor.open_kernel()
        await kernel.run("answer = 42")
        started = {unit: machine.start_time(unit) for unit in ("jupyterhub", "jupyterhub-proxy", "docker")}

        with operator.changed(server={"memory": "320M"}):
            plan = operator.hubwright("plan", code=3)
            assert "restart jupyterhub (changed: /etc/jupyterhub/hub.json)" in plan.err
            operator.hubwright("apply")
            now = {unit: machine.start_time(unit) for unit in started}
            assert {unit for unit in now if now[unit] != started[unit]} == {"jupyterhub"}
            newcomer = await visit(machine.url, "print(1)")
            assert limit(machine, newcomer["server"]) == 320 << 20
            assert limit(machine, server) == 384 << 20
            assert await kernel.run("print(answer)") == "42\n"
        operator.hubwright("apply")

    asyncio.run(scenario())


def test_idle_servers_end_and_their_users_go(machine: Host) -> None:
    seen = asyncio.run(visit(machine.url, "print(1)"))
    assert seen["server"].rstrip("/").rpartition("/")[2] in users(machine)
    machine.run(CULL_AT_ONCE)
    assert machine.run("docker ps --all --quiet --filter name=^hubwright-server-") == ""
    assert users(machine) == []


def test_server_that_writes_too_much_ends_and_no_other(operator: Operator, machine: Host) -> None:
    async def scenario() -> None:
        greedy, modest = Visitor(machine.url), Visitor(machine.url)
        await asyncio.gather(greedy.arrive(), modest.arrive())
        kernel, another = await asyncio.gather(greedy.open_kernel(), modest.open_kernel())
        container = (await kernel.run("import socket; print(socket.gethostname())")).strip()
        with pytest.raises(RuntimeError, match="File too large"):
            await kernel.run("open('whole', 'wb').truncate((200 << 20) + 1)")
        await another.run("answer = 42; open('part', 'wb').write(bytes(100 << 20))")
        assert container in machine.run("docker ps --quiet").split()

        with contextlib.suppress(RuntimeError):  # the server may end in the middle of this
            await kernel.run("for n in range(6): open(f'part {n}', 'wb').write(bytes(50 << 20))")
        end = time.monotonic() + END_TIMEOUT
        while container in machine.run("docker ps --all --quiet").split():
            assert time.monotonic() < end, "it goes on"
            await asyncio.sleep(0.5)

        page = await greedy.get(f"{greedy.server}lab")
        assert (page.code, b"more than 200.0 MiB" in page.body) == (424, True)
        log = machine.run("journalctl --quiet --output=cat --unit=jupyterhub")
        assert re.search(rf"{greedy.user} has written [23]\d\d MiB", log)
        assert await another.run("print(answer)") == "42\n"
        assert await greedy.arrive() == greedy.server, "they may come back"

    with operator.changed(server={"disk": "200M"}):
        operator.hubwright("apply")
        asyncio.run(scenario())
    operator.hubwright("apply")


def test_visitor_waits_while_all_places_are_taken(operator: Operator, machine: Host) -> None:
    async def scenario() -> None:
        first, second, third = (Visitor(machine.url) for _ in range(3))
        await first.arrive()
        page, _ = await asyncio.gather(second.get(machine.url), third.get(machine.url))
        assert (page.code, b"All places are taken" in page.body) == (429, True)
        again = re.search(rb'http-equiv="refresh" content="(\d+)"', page.body)
        assert again
        assert int(again[1]) < 60
        assert (await second.get(page.effective_url)).code == 429
        assert len(users(machine)) == accounts + 3, "a visitor who waits has one account"

        await first.get(f"{machine.url}hub/home")
        assert await first.leave() == 204
        page = await second.get(page.effective_url)
        assert page.code == 200
        await second.arrive()
        kernel = await second.open_kernel()
        assert await kernel.run("print(1)") == "1\n"

    accounts = len(users(machine))
    with operator.changed(server={"max_servers": taken(machine) + 1}):
        operator.hubwright("apply")
        asyncio.run(scenario())
    operator.hubwright("apply")
    machine.run(CULL_AT_ONCE)
    assert users(machine) == [], "of those who got no server, too"
