"""Measuring survives restarts, does no harm when it fails, and shows its numbers."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import sync_playwright

from tests.support.browsers import BROWSERS, OPTIONS
from tests.support.hosts.containers import Host
from tests.support.operators import PROJECT, Operator
from tests.support.visitor import Visitor, visit

GRAPHITE, METRICS, STATUS = "hubwright-graphite", "hubwright-metrics", "hubwright-status"
VOLUME = "/var/lib/docker/volumes/hubwright-graphite/_data"
SCREENSHOTS = PROJECT / "build" / "screenshots"
ROUND = 12  # seconds: the sender and StatsD take ten each
POINT_TIMEOUT = 120  # seconds

RENDER = """
import json, sys, urllib.request
url = "http://127.0.0.1:8085/render?from=-6h&format=json&target=" + sys.argv[1]
series = json.load(urllib.request.urlopen(url, timeout=10))
print(sum(value or 0 for one in series for value, _ in one["datapoints"]))
"""
HEALTH = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8085/health", timeout=5).read().decode())
"""
# The answers of /health once the container was asked to end. StatsD may wait ten seconds for its last flush.
LEAVING = """
docker kill --signal=TERM hubwright-graphite >/dev/null
python3 - <<'END'
import time, urllib.error, urllib.request
time.sleep(0.3)
try:
    answer = urllib.request.urlopen("http://127.0.0.1:8085/health", timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode())
END
"""
# Hold StatsD's port until killed.
TAKE_PORT = """
cat >/run/squatter.py <<'END'
import socket, time
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("127.0.0.1", 8125))
time.sleep(600)
END
systemd-run --quiet --unit=squatter python3 /run/squatter.py
sleep 1
"""
KILL_STATSD = """
docker exec hubwright-graphite python3 -c '
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    if open(f"/proc/{pid}/cmdline").read().startswith("statsd"):
        os.kill(int(pid), 9)
'
"""


def counted(machine: Host, name: str) -> float:
    """The total of a counter in Graphite."""
    return _sum(machine, f"stats.counters.jupyterhub.{name}.count")


def timed(machine: Host, name: str) -> float:
    """The number of times of a timer in Graphite."""
    return _sum(machine, f"stats.timers.jupyterhub.{name}.count")


def _sum(machine: Host, target: str) -> float:
    return float(machine.run(f"python3 - {target} <<'END'{RENDER}END\n"))


def until(true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + POINT_TIMEOUT
    while True:
        try:
            if true():
                return
        except AssertionError:
            pass  # Graphite is starting
        assert time.monotonic() < end, what
        time.sleep(1)


def logins(machine: Host) -> float:
    """The number of logins in Graphite, once all have arrived."""
    seen, now = -1.0, counted(machine, "login.success")
    while seen != now:
        time.sleep(2 * ROUND)
        seen, now = now, counted(machine, "login.success")
    return now


def come_and_go(machine: Host) -> None:
    seen = asyncio.run(visit(machine.url, "print(6 * 7)"))
    assert seen["printed"] == "42\n"


def health(machine: Host) -> dict[str, int]:
    found: dict[str, int] = json.loads(machine.run(f"python3 - <<'END'{HEALTH}END\n"))
    return found


def healthy(machine: Host) -> bool:
    found = health(machine)
    return bool(found["carbon"] and found["statsd"])


def test_no_login_is_lost_when_a_part_restarts(machine: Host) -> None:
    until(lambda: healthy(machine), "Graphite is there, however short before the machine was started")
    before = logins(machine)
    come_and_go(machine)
    until(lambda: counted(machine, "login.success") == before + 1, "unseen logins end with the hub")
    for unit in ("jupyterhub", METRICS, GRAPHITE, "docker"):
        machine.run(f"systemctl restart {unit}")
        machine.wait_for_hub()
        come_and_go(machine)
    until(lambda: healthy(machine), "Graphite is there again")
    assert logins(machine) == before + 5, "every login arrives, and none twice"


def test_statsd_takes_nothing_more_that_it_might_not_pass_on(machine: Host) -> None:
    until(lambda: healthy(machine), "Graphite is there")
    said = json.loads(machine.run(LEAVING))
    assert said["carbon"]
    assert not said["statsd"]
    until(lambda: healthy(machine), "it has started again")


def test_graphite_is_away_and_the_hub_does_not_care(machine: Host) -> None:
    before = counted(machine, "login.success")
    machine.run(f"systemctl stop {GRAPHITE}")
    come_and_go(machine)
    assert "Graphite does not answer" in status_page(machine)
    time.sleep(ROUND)  # the sender has looked
    machine.run(f"until [ $(($(date +%s) % 10)) = 7 ]; do sleep 0.1; done; systemctl start {GRAPHITE}")
    until(lambda: healthy(machine), "Graphite is there again")
    began = health(machine)["started"]  # whole seconds, which may be one too early
    assert 1 <= began % 10 <= 6, "no flush is near the borders of carbon's ten seconds"
    until(lambda: counted(machine, "login.success") == before + 1, "what happened meanwhile is told later")


def test_a_part_of_the_container_that_dies_comes_back(machine: Host) -> None:
    started = machine.run(f"docker inspect --format='{{{{.Id}}}}' {GRAPHITE}")
    machine.run(KILL_STATSD)
    until(lambda: healthy(machine), "all three parts work again")
    assert machine.run(f"docker inspect --format='{{{{.Id}}}}' {GRAPHITE}") != started


def test_graphite_s_own_database_is_up_to_date(machine: Host) -> None:
    """Both the one of the image, and one that another version of Graphite left without tables."""
    complete = f"docker exec {GRAPHITE} django-admin migrate --check --settings=graphite.settings"
    machine.run(complete)
    version = machine.run(f"cat {VOLUME}/version")
    machine.run(f"systemctl stop {GRAPHITE}; cd {VOLUME}; echo 1.0 >version; : >graphite.db")
    machine.run(f"systemctl start {GRAPHITE}")
    until(lambda: healthy(machine), "it has started again")
    assert machine.run(f"cat {VOLUME}/version") == version
    machine.run(complete)


def test_a_full_disk_of_graphite_is_graphite_s_own_trouble(machine: Host) -> None:
    machine.run(f"systemctl stop {GRAPHITE}; mount -t tmpfs -o size=64k,mode=0777 tmpfs {VOLUME}")
    try:
        machine.run(f"systemctl start {GRAPHITE}; sleep 5")
        come_and_go(machine)
        assert status_page(machine)
    finally:
        machine.run(f"systemctl stop {GRAPHITE}; umount {VOLUME}; systemctl start {GRAPHITE}")
    until(lambda: healthy(machine), "with room it works again")


@contextmanager
def port_taken(machine: Host) -> Iterator[None]:
    machine.run(f"systemctl stop {GRAPHITE}\n{TAKE_PORT}")
    try:
        yield
    finally:
        machine.run("systemctl stop squatter; rm /run/squatter.py")


def test_a_port_that_is_taken_is_named_with_its_holder(operator: Operator, machine: Host) -> None:
    with port_taken(machine):
        for command in ("plan", "apply"):
            done = operator.hubwright(command, code=1)
            done.says("UDP port 8125 of 127.0.0.1", "python3 (pid ", "[monitoring] statsd_port")
        come_and_go(machine)
    operator.hubwright("apply")
    until(lambda: healthy(machine), "it runs once the port is free")
    assert operator.hubwright("apply").unchanged


def status_page(machine: Host) -> str:
    """The status page as an operator sees it."""
    path = machine.run(
        "/opt/hubwright/current/bin/python /opt/hubwright/services/status_page.py --ticket"
    ).strip()

    async def look() -> str:
        response = await Visitor(machine.url).get(machine.url.rstrip("/") + path)
        assert response.code == 200, response.code
        return response.body.decode()

    return asyncio.run(look())


def test_the_page_stands_on_every_screen(operator: Operator, machine: Host) -> None:
    """Nothing is too wide, and the policy breaks nothing. Screenshots are kept for people to look at."""
    come_and_go(machine)
    until(lambda: counted(machine, "login.success") > 0, "there is something to see")
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser_path, "no Chromium here: `make test` installs it"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=OPTIONS)
        door = browser.new_context(ignore_https_errors=True)
        [link] = operator.hubwright("status-page").out.split()
        door.new_page().goto(link)
        for scheme in ("light", "dark"):
            for width, height in ((1280, 900), (390, 844)):
                context = browser.new_context(
                    ignore_https_errors=True,
                    storage_state=door.storage_state(),
                    color_scheme=scheme,
                    viewport={"width": width, "height": height},
                )
                page = context.new_page()
                page.on("console", lambda message: complaints.append(message.text))
                page.on("requestfailed", lambda request: complaints.append(request.url))
                for window in ("week", "day", "hour"):
                    page.goto(f"{machine.url}services/status/?over={window}")
                    assert page.locator("main svg").count() >= 8
                    assert page.evaluate("document.documentElement.scrollWidth") <= width
                    for table in page.locator(".scroll").all():
                        assert table.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, "no column is cut"
                page.screenshot(path=SCREENSHOTS / f"status-{scheme}-{width}.png", full_page=True)
                ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (ground == "rgb(20, 23, 27)") is (scheme == "dark"), "the style sheet is in force"
                context.close()
        browser.close()
    assert complaints == []


def test_a_visitor_reads_how_far_the_server_is(machine: Host) -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.goto(machine.url, wait_until="commit")
        # A quick host shows each message for a moment only; the page writes them to its console as well.
        page.wait_for_url("**/spawn-pending/**", wait_until="commit")
        page.screenshot(path=SCREENSHOTS / "waiting.png")
        page.wait_for_url("**/lab**", timeout=60_000)
        browser.close()
    text = " ".join(told)
    assert (
        text.index("Preparing your container") < text.index("Starting JupyterLab") < text.index("ready: true")
    )


def test_without_graphite_nothing_of_it_is_left(operator: Operator, machine: Host) -> None:
    traces = f"systemctl list-units --all --plain --no-legend '{GRAPHITE}*' '{METRICS}*' '{STATUS}*'"
    with operator.changed(monitoring={"graphite": False}):
        assert "remove docker-volume:hubwright-graphite" in operator.hubwright("plan", code=3).err
        done = operator.hubwright("apply")
        assert machine.run(traces) == ""
        left = "docker ps --all --quiet --filter name=graphite; docker volume ls --quiet"
        assert machine.run(f"{left}; docker image ls --quiet hubwright/graphite") == "", done
        assert not machine.succeeds("ls /etc/jupyterhub/secrets/metrics.env")
        assert not machine.succeeds("ls /etc/jupyterhub/secrets/status.env")
        assert "8086" not in machine.run("cat /etc/jupyterhub/hub.json")
        come_and_go(machine)
        assert operator.hubwright("apply").unchanged
        operator.hubwright("status")
        operator.hubwright("status-page", code=1).says("there is no status page", "[monitoring] graphite")
    operator.hubwright("apply")
    assert healthy(machine)
