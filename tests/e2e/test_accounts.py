"""A deployed hub changes the kind of its accounts: from temporary ones to a workshop's, and back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.e2e.test_changes import CULL_AT_ONCE, users
from tests.support.hosts.containers import Host
from tests.support.operators import Operator
from tests.support.visitor import Kernel, Visitor

PASSWORD = "open-sesame-2000"
ADMIN_PASSWORD = "the-teacher-s-own-words-are-longer-than-these"
ADMINS = """python3 - <<'END'
import sqlite3
hub = sqlite3.connect("/var/lib/jupyterhub/jupyterhub.sqlite")
marked = hub.execute("select name from users where admin")
role = "join user_role_map m on m.user_id = u.id join roles r on r.id = m.role_id where r.name = 'admin'"
print(*{name for name, in [*marked, *hub.execute(f"select u.name from users u {role}")]})
END
"""
TEMPORARY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@contextmanager
def workshop(operator: Operator) -> Iterator[None]:
    """Settings that ask for a shared password while the block runs."""
    secrets = operator.folder / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text(
        f"[auth]\nuser_password = '{PASSWORD}'\nadmin_password = '{ADMIN_PASSWORD}'\n", encoding="utf-8"
    )
    try:
        with operator.changed(auth={"type": "shared-password"}, users={"admins": ["teacher"]}):
            yield
    finally:
        secrets.unlink()


def admins(machine: Host) -> list[str]:
    """All with an admin's powers, by their own mark or by the role."""
    return machine.run(ADMINS).split()


async def left_over(machine: Host) -> list[str]:
    """Containers of servers that are still there when all should be gone; a busy host removes slowly."""
    command = "docker ps --all --filter name=^hubwright-server- --format '{{.Names}} {{.Status}}'"
    for _ in range(60):
        if not (found := machine.run(command).splitlines()):
            break
        await asyncio.sleep(0.5)
    return found


async def ends_at(visitor: Visitor, place: str) -> tuple[str, int]:
    """The path and the status of the page that a visitor sees at `place`."""
    response = await visitor.get(f"{visitor.url}{place}")
    return urlsplit(response.effective_url).path, response.code


async def stranger_comes(url: str) -> tuple[Visitor, Kernel]:
    visitor = Visitor(url)
    page = await visitor.get(url)
    assert "spawn-pending" in page.effective_url
    assert b"Your account is temporary" in page.body
    await visitor.arrive()
    kernel = await visitor.open_kernel()
    await kernel.run("answer = 42")
    return visitor, kernel


async def workshop_goes_on(machine: Host, stranger: Visitor, kernel: Kernel) -> None:
    url = machine.url
    assert await kernel.run("print(answer)") == "42\n", "running servers go on"
    assert await ends_at(stranger, "hub/home") == ("/hub/login", 200), "an old login is worth nothing"
    assert await ends_at(Visitor(url), "") == ("/hub/login", 200)

    ada = Visitor(url, name="Ada", password=PASSWORD)
    page = await ada.log_in()
    assert b"Your account is temporary" not in page.body
    await ada.arrive()
    assert ada.user == "ada"
    ada_kernel = await ada.open_kernel()
    assert await ada_kernel.run("print(6 * 7)") == "42\n"
    assert (await ends_at(ada, "hub/admin"))[1] == 403

    for name, password in (
        ("bob", "wrong-password"),
        ("bob", "fälsch-ëncoded"),
        ("bob", ""),
        ("bob", ADMIN_PASSWORD),
        ("teacher", PASSWORD),
        ("TEACHER", PASSWORD),
        (stranger.user, PASSWORD),
        ("a/b", PASSWORD),
    ):
        assert (await Visitor(url, name=name, password=password).log_in()).code == 403, name

    # None of the hub's own containers has a name like those of servers.
    own = "docker inspect --format '{{.Id}} {{.State.StartedAt}}' hubwright-keeper hubwright-graphite"
    before = machine.run(own)
    for name in ("keeper", "graphite"):
        person = Visitor(url, name=name, password=PASSWORD)
        await person.arrive()
        assert await person.leave() == 204
    assert machine.run(own) == before

    teacher = Visitor(url, name="teacher", password=ADMIN_PASSWORD)
    assert (await teacher.log_in("/hub/admin")).code == 200
    assert admins(machine) == ["teacher"]


def test_a_workshop_has_named_accounts_that_stay(operator: Operator, machine: Host) -> None:
    async def scenario() -> None:
        stranger, kernel = await stranger_comes(machine.url)
        plan = operator.hubwright("plan", code=3)
        done = operator.hubwright("apply")
        for said in (plan, done, operator.hubwright("config", "show")):
            assert PASSWORD not in said.out + said.err
        assert operator.hubwright("apply").unchanged
        await workshop_goes_on(machine, stranger, kernel)
        operator.hubwright("verify", "-k", "accounts or test_visit or culler or cannot_read")

        machine.run(CULL_AT_ONCE)
        assert await left_over(machine) == []
        assert {"ada", "teacher"} <= set(users(machine)), "named accounts stay"
        machine.run("systemctl restart jupyterhub")
        machine.wait_for_hub()
        assert not [name for name in users(machine) if TEMPORARY.fullmatch(name)], "a stranger's do not"
        assert {"ada", "teacher"} <= set(users(machine))

    with workshop(operator):
        # The stranger comes before the hub has changed.
        asyncio.run(scenario())
    operator.hubwright("apply")


def test_afterwards_accounts_are_temporary_again(operator: Operator, machine: Host) -> None:
    async def scenario() -> None:
        with workshop(operator):
            operator.hubwright("apply")
        teacher = Visitor(machine.url, name="teacher", password=ADMIN_PASSWORD)
        assert (await teacher.log_in("/hub/admin")).code == 200
        operator.hubwright("apply")
        assert admins(machine) == []
        assert PASSWORD not in machine.run("cat /etc/jupyterhub/hub.json")
        assert not machine.succeeds("test -e /opt/hubwright/services/shared_password.py")
        await teacher.arrive()
        assert TEMPORARY.fullmatch(teacher.user), "an account of its own, as for everybody"

    asyncio.run(scenario())
    machine.run(CULL_AT_ONCE)
    assert users(machine) == [], "with no use of theirs, accounts of the workshop go as well"
