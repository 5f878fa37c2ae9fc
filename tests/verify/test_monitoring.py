"""The hub's numbers are measured, kept, and shown to those who may see them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

from provision.settings import Settings
from tests.verify.conftest import Probes, Visitor

Page = Callable[[str], tuple[int, Any, str]]  # see `page`

UNITS = ("hubwright-graphite", "hubwright-metrics", "hubwright-status")
TOKEN = "/etc/jupyterhub/secrets/metrics.env"
SECRETS = (TOKEN, "/etc/jupyterhub/secrets/status.env")
POINT_TIMEOUT = 90  # seconds: StatsD passes on every ten, and so often does the hub's sender look


@pytest.fixture(scope="module")
def _wanted(settings: Settings) -> None:
    if not settings.monitoring.graphite:
        pytest.skip("the settings want no Graphite")


@pytest.fixture(scope="module")
def points(probes: Probes, settings: Settings) -> Callable[[str, str], list[float]]:
    """Known values of a metric in Graphite, over a time such as -5min."""
    url = f"http://127.0.0.1:{settings.monitoring.graphite_port}/render"

    def read(target: str, since: str) -> list[float]:
        [[status, _, body]] = probes.on_host("page", f"{url}?target={target}&from={since}&format=json")
        assert status == 200
        return [
            value for series in json.loads(body) for value, _ in series["datapoints"] if value is not None
        ]

    return read


def _until(true: Callable[[], Any]) -> bool:
    end = time.monotonic() + POINT_TIMEOUT
    while not (found := true()) and time.monotonic() < end:
        time.sleep(1)
    return bool(found)


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_as_wanted(host: Host, settings: Settings, unit: str) -> None:
    service = host.service(unit)
    assert service.is_running is settings.monitoring.graphite
    assert service.exists is settings.monitoring.graphite
    if settings.monitoring.graphite:
        assert service.is_enabled


def test_nothing_is_left_where_it_is_not_wanted(host: Host, settings: Settings) -> None:
    there = settings.monitoring.graphite
    assert (host.run("docker volume inspect hubwright-graphite").rc == 0) is there
    assert (host.run("docker inspect hubwright-graphite").rc == 0) is there
    for path in SECRETS:
        assert (host.run("test -e %s", path).rc == 0) is there


@pytest.mark.usefixtures("_wanted")
def test_a_metric_sent_to_statsd_arrives_in_graphite(
    host: Host, settings: Settings, points: Callable[[str, str], list[float]]
) -> None:
    name = f"verify.{uuid.uuid4().hex}"
    port = settings.monitoring.statsd_port
    host.check_output("bash -c %s", f"printf '{name}:42|c' >/dev/udp/127.0.0.1/{port}")
    try:
        assert _until(lambda: 42.0 in points(f"stats.counters.{name}.count", "-2min"))
    finally:
        host.check_output(
            "docker exec hubwright-graphite rm -r /var/lib/graphite/whisper/stats/counters/%s",
            name.replace(".", "/"),
        )


@pytest.mark.usefixtures("_wanted")
def test_a_visit_arrives_under_the_old_names(
    visitors: list[Visitor], settings: Settings, points: Callable[[str, str], list[float]]
) -> None:
    """The visitors of these checks have logged in, and their servers have started."""
    prefix = settings.monitoring.prefix
    expected = len(visitors)
    assert _until(lambda: sum(points(f"stats.counters.{prefix}.login.success.count", "-30min")) >= expected)
    assert _until(lambda: sum(points(f"stats.timers.{prefix}.spawner.success.count", "-30min")) >= expected)
    assert _until(lambda: max(points(f"stats.gauges.{prefix}.users.running", "-5min"), default=0) >= expected)
    slowest = max(points(f"stats.timers.{prefix}.spawner.success.mean", "-30min"))
    assert 100 < slowest < 1000 * settings.server.start_timeout, "milliseconds"


@pytest.mark.usefixtures("_wanted")
def test_the_host_is_measured(
    host: Host, settings: Settings, points: Callable[[str, str], list[float]]
) -> None:
    prefix = f"stats.gauges.{settings.monitoring.prefix}.host"
    assert _until(lambda: points(f"{prefix}.memory.total", "-2min"))
    kilobytes = int(host.check_output("sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo"))
    assert points(f"{prefix}.memory.total", "-2min")[-1] == kilobytes * 1024

    def as_many_as_run() -> bool:
        """True if both numbers agree; both are read again, as servers come and go."""
        running = len(host.check_output("docker ps --quiet").split())
        return points(f"{prefix}.containers", "-1min")[-1:] == [running]

    assert _until(as_many_as_run)


@pytest.mark.usefixtures("_wanted")
def test_only_the_host_itself_reaches_them(host: Host, probes: Probes, settings: Settings) -> None:
    monitoring = settings.monitoring
    others = host.check_output("hostname --all-ip-addresses").split()
    addresses = ["127.0.0.1", *(f"[{a}]" if ":" in a else a for a in others)]
    for port in (monitoring.graphite_port, monitoring.status_port):
        reached = probes.on_host("reach", *(f"{address}:{port}" for address in addresses))
        assert reached == [f"127.0.0.1:{port}"]
    listening = host.check_output("cat /proc/net/udp /proc/net/udp6").splitlines()
    local = [line.split()[1].rpartition(":") for line in listening if " local_address " not in line]
    assert {address for address, _, port in local if int(port, 16) == monitoring.statsd_port} == {"0100007F"}


@pytest.mark.usefixtures("_wanted")
@pytest.mark.parametrize("line", ["GET /users", "GET /services", "GET /proxy", "POST /users/x/server"])
def test_the_token_reads_metrics_and_nothing_else(probes: Probes, hub_api: str, line: str) -> None:
    [[status, _]] = probes.on_host("call", hub_api, TOKEN, line)
    assert status == 403


@pytest.mark.usefixtures("_wanted")
@pytest.mark.parametrize("path", SECRETS)
def test_another_user_cannot_read_its_secrets(host: Host, path: str) -> None:
    assert host.run("test -s %s", path).rc == 0
    assert host.run("runuser --user nobody -- cat %s", path).rc != 0


# --- the status page ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(probes: Probes, front_door: str, settings: Settings) -> Page:
    """The page at a path of the hub, asked through the proxy: status, headers and text."""
    behind = ["--behind"] if settings.tls.mode == "behind-proxy" else []

    def shown(path: str) -> tuple[int, Any, str]:
        [[status, headers, body]] = probes.on_host("page", *behind, f"{front_door}{path}")
        return status, headers, body

    return shown


@pytest.fixture
def ticket(host: Host) -> str:
    """The path that lets an operator in, as `hubwright status-page` prints it."""
    program = "/opt/hubwright/current/bin/python /opt/hubwright/services/status_page.py --ticket"
    said: str = host.check_output(program)
    return said.strip().lstrip("/")


@pytest.mark.usefixtures("_wanted")
def test_an_operator_sees_all_of_it(page: Page, ticket: str) -> None:
    began = time.monotonic()
    status, headers, body = page(ticket)
    assert status == 200
    assert time.monotonic() - began < 10
    for word in ("People here now", "Memory in use", "Disk in use", "Last deploys", "<table>", "<svg"):
        assert word in body
    assert len(body.encode()) <= 150_000
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("_wanted")
def test_a_ticket_lets_in_once(page: Page, ticket: str) -> None:
    twice = [page(ticket)[0] for _ in range(2)]
    assert twice == [200, 403]


@pytest.mark.usefixtures("_wanted")
@pytest.mark.parametrize("word", ["", "?ticket=", "?ticket=9999999999.0000000000000000.00"])
def test_a_forged_ticket_does_not(page: Page, word: str) -> None:
    status, _, body = page(f"services/status/enter{word}")
    assert status == 403
    assert "Memory" not in body


@pytest.mark.usefixtures("_wanted")
def test_a_stranger_sees_what_the_settings_allow(page: Page, settings: Settings) -> None:
    status, _, body = page("services/status/")
    assert status == (200 if settings.monitoring.public_summary else 403)
    assert ("People here now" in body) is settings.monitoring.public_summary
    for word in ("Memory in use", "Last deploys"):
        assert word not in body


@pytest.mark.usefixtures("_wanted")
def test_no_ticket_stands_in_a_log(host: Host, page: Page, ticket: str) -> None:
    page(ticket)
    word = ticket.partition("=")[2]
    units = " ".join(f"--unit={unit}" for unit in ("jupyterhub", "jupyterhub-proxy", *UNITS))
    log = host.check_output(f"journalctl --quiet --output=cat --since=-10min {units}")
    assert log
    assert word not in log
