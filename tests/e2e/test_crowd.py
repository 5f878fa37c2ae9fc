"""Visitors who come at once, failed starts, and logs of servers, on a hub that starts one at a time."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.e2e.test_monitoring import counted, timed, until
from tests.support.browsers import BROWSERS, OPTIONS
from tests.support.hosts.containers import Host
from tests.support.operators import PROGRAMS, PROJECT, Operator
from tests.support.visitor import Visitor

CROWD = 6
TIMEOUT = 6  # seconds for a start

# An image that does not serve, in place of the notebooks', and a hub with other settings.
CHANGE = """
cp --preserve --no-clobber /etc/jupyterhub/hub.json /run/hub.json
python3 - {settings} {command} <<'END'
import json, pathlib, subprocess, sys
place = pathlib.Path("/etc/jupyterhub/hub.json")
hub = json.loads(pathlib.Path("/run/hub.json").read_text())
if sys.argv[2]:
    recipe = f"FROM {{hub['image']}}\\nCMD {{sys.argv[2]}}\\n"
    subprocess.run(["docker", "build", "--tag=other", "-"], input=recipe.encode(), check=True)
    hub["image"] = "other"
place.write_text(json.dumps(hub | json.loads(sys.argv[1])))
END
systemctl restart jupyterhub
"""
RESTORE = "mv /run/hub.json /etc/jupyterhub/hub.json; systemctl restart jupyterhub"
ASLEEP = ["sleep", "600"]
ENDS = ["sh", "-c", "echo no course of this name; exit 3"]


@pytest.fixture(scope="module", autouse=True)
def _no_other_image(machine: Host) -> Iterator[None]:
    yield
    machine.run("docker ps --all --quiet --filter ancestor=other | xargs --no-run-if-empty docker rm --force")
    machine.run("docker image rm --force other")


def change(machine: Host, command: list[str], **settings: Any) -> None:
    words = (f"'{json.dumps(settings)}'", f"'{json.dumps(command) if command else ''}'")
    machine.run(CHANGE.format(settings=words[0], command=words[1]))
    machine.wait_for_hub()


@contextmanager
def other_hub(machine: Host, command: list[str] | None = None, **settings: Any) -> Iterator[None]:
    """A hub with other settings, whose containers run `command`, during the block."""
    change(machine, command or [], **settings)
    try:
        yield
    finally:
        machine.run(RESTORE)
        machine.wait_for_hub()


def asleep(machine: Host) -> int:
    return len(machine.run("docker ps --quiet --filter ancestor=other").split())


def in_thread(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, also beside Playwright's own event loop."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(work)))
    thread.start()
    thread.join(120)
    return found[0]


async def ask_for_server(machine: Host) -> Visitor:
    """A visitor who has asked for a server and waits for it."""
    visitor = Visitor(machine.url)
    response = await visitor.get(machine.url)
    user = re.search(r"/spawn-pending/([^/?]+)", response.effective_url)
    assert user, response.effective_url
    visitor.server = f"{machine.url}user/{user[1]}/"
    return visitor


async def told(visitor: Visitor, text: list[str]) -> None:
    """Read the progress of a server's start into `text`, until the hub ends the stream."""
    url = f"{visitor.url}hub/api/users/{visitor.user}/server/progress"
    xsrf = visitor.cookie("_xsrf", url)
    await visitor.request(
        "GET", f"{url}?_xsrf={xsrf}", streaming_callback=lambda part: text.append(part.decode())
    )


async def reads(text: list[str], words: str) -> None:
    for _ in range(300):
        if words in "".join(text):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"nothing of {words!r} in {text}")


def test_a_crowd_is_served_one_after_another(machine: Host) -> None:
    """If all start at once, no server is ready before the time-out; in line, each has the time for itself."""

    async def scenario() -> None:
        visitors = [Visitor(machine.url) for _ in range(CROWD)]
        await asyncio.gather(*(visitor.arrive() for visitor in visitors))
        for visitor in visitors:
            await visitor.get(f"{machine.url}hub/home")
            assert await visitor.leave() in (202, 204)

    with other_hub(machine, starts_at_once=1):
        asyncio.run(scenario())


def test_who_waits_reads_the_place_and_moves_up_when_another_leaves(machine: Host) -> None:
    async def scenario() -> None:
        first, second, third = [await ask_for_server(machine) for _ in range(3)]
        text: list[str] = []
        reading = asyncio.create_task(told(third, text))
        await reads(text, "you are number 2 in line")
        refused = await Visitor(machine.url).get(machine.url)
        assert (refused.code, "All places are taken" in refused.body.decode()) == (429, True)
        assert await second.leave() in (202, 204), "called off in the line"
        await reads(text, "you are next")
        fourth = await ask_for_server(machine)
        assert await first.leave() in (202, 204), "called off while it starts"
        await reads(text, "Preparing your container")
        for visitor in (third, fourth):
            assert await visitor.leave() in (202, 204)
        await reads(text, "Spawn cancelled")
        await reading

    # Servers of earlier tests may still be on their way out.
    there = len(machine.run("docker ps --quiet --filter name=^hubwright-server-").split())
    with other_hub(machine, ASLEEP, starts_at_once=1, max_servers=there + 3):
        asyncio.run(scenario())
        until(lambda: asleep(machine) == 0, "nothing of them is left")


def test_who_waits_while_the_hub_restarts_gets_a_server_by_itself(machine: Host) -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser_path, "no Chromium here: `make test` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=OPTIONS)
        page = browser.new_page(ignore_https_errors=True)
        with other_hub(machine, ASLEEP, starts_at_once=1):
            in_thread(ask_for_server(machine))
            page.goto(machine.url)
            page.locator("#progress-message", has_text="you are next").wait_for()
            page.screenshot(path=PROJECT / "build" / "screenshots" / "in_line.png")
        page.wait_for_url("**/lab**", timeout=60_000)
        browser.close()
    until(lambda: asleep(machine) == 0, "what had begun to start is cleared away")


def test_failed_starts_say_why_and_are_counted_exactly(machine: Host) -> None:
    """Three containers end at once, two never answer: the visitor, the log, counters and timer agree."""
    names = ("spawner.failure.error", "spawner.failure.timeout")

    async def fail(number: int) -> list[str]:
        visitors = [Visitor(machine.url) for _ in range(number)]
        return [str(e) for e in await asyncio.gather(*(v.arrive() for v in visitors), return_exceptions=True)]

    async def read_reason() -> str:
        visitor = await ask_for_server(machine)
        text: list[str] = []
        await told(visitor, text)
        response = await visitor.get(f"{machine.url}hub/spawn-pending/{visitor.user}")
        return "".join(text) + response.body.decode()

    logged = "journalctl --unit=jupyterhub | grep --count 's server did not start: ' || true"
    before = [*(counted(machine, name) for name in names), timed(machine, "spawner.failure")]
    lines = int(machine.run(logged))
    with other_hub(machine, ENDS):
        assert all("no server: 500" in error for error in asyncio.run(fail(3)))
        until(lambda: counted(machine, names[0]) == before[0] + 3, "three errors are counted")
    with other_hub(machine, ASLEEP, start_timeout=TIMEOUT):
        said = asyncio.run(read_reason())
        assert said.count(f"not ready within {TIMEOUT} seconds") == 2, "while it waits, and afterwards"
        assert "Spawn failed: the server was" in said
        assert all("no server: 500" in error for error in asyncio.run(fail(1)))
        until(lambda: counted(machine, names[1]) == before[1] + 2, "two time-outs are counted")
    until(lambda: timed(machine, "spawner.failure") == before[2] + 5, "the timer has all five")
    assert [counted(machine, name) for name in names] == [before[0] + 3, before[1] + 2]
    assert int(machine.run(logged)) == lines + 5


def test_the_words_of_a_server_stay_after_its_end(operator: Operator, machine: Host) -> None:
    async def come() -> Visitor:
        visitor = Visitor(machine.url)
        await visitor.arrive()
        return visitor

    async def look_for(visitor: Visitor, name: str) -> None:
        assert (await visitor.get(f"{visitor.server}api/contents/{name}")).code == 404

    async def leave(visitor: Visitor) -> None:
        await visitor.get(f"{machine.url}hub/home")
        assert await visitor.leave() in (202, 204)

    visitor = asyncio.run(come())
    asyncio.run(look_for(visitor, "first.ipynb"))
    shown = operator.hubwright("logs", "--server", visitor.user)
    assert f"--- {visitor.user}, running" in shown.out
    assert "first.ipynb" in shown.out
    operator.hubwright("logs", "--server", visitor.user[:-1], code=1).says("no server of", visitor.user)

    argv = [str(PROGRAMS / "hubwright"), "logs", "--follow", "--server", visitor.user]
    with subprocess.Popen(argv, env=operator.environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        line = following.stdout.readline()  # the start has begun
        asyncio.run(look_for(visitor, "second.ipynb"))
        while line and "second.ipynb" not in line:
            line = following.stdout.readline()
        assert line
        asyncio.run(leave(visitor))
        assert following.wait(60) == 0, "it ends with the server"
    until(lambda: not machine.run(f"docker ps --all --quiet --filter name={visitor.user[:8]}"), "it is gone")
    shown = operator.hubwright("logs", "--server", visitor.user, "-n", "1000")
    assert f"--- {visitor.user}, ended " in shown.out
    assert "second.ipynb" in shown.out


def test_statsd_s_flushes_have_a_slot_each_however_late_they_are(machine: Host) -> None:
    """By the clock, a late flush and the next one would get the same ten seconds of carbon's."""
    script = """
    const events = new (require("events"))();
    require("/opt/hubwright/orderly.js").init(1000004, {flushInterval: 10000}, events);
    const stamps = [];
    events.on("flush", (stamp) => stamps.push(stamp));
    for (const now of [14, 24, 34, 50, 54, 64, 74, 73, 84]) events.emit("flush", 1000000 + now, {});
    console.log(JSON.stringify(stamps.map((stamp) => stamp - 1000000)));
    """
    argv = "docker exec --interactive hubwright-graphite /opt/hubwright/node -"
    stamps = json.loads(machine.run(f"{argv} <<'END'{script}\nEND\n"))
    slots = [stamp // 10 for stamp in stamps]
    assert len(set(slots)) == len(stamps) == 9, stamps
    assert stamps[:3] == [14, 24, 34], "in time, it is the clock's"
    assert stamps[-1] - 84 <= 10, "and it is again, or nearly so"
