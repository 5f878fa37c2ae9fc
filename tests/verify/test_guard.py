"""A notebook container talks to the hub without the proxy in between, and cannot wear it out."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.settings import Settings
from tests.verify.conftest import Probes, Visitor

TOKEN = "/etc/jupyterhub/secrets/metrics.env"
AT_ONCE, IN_TIME = 10.0, 45.0  # seconds
LEAST = 16384  # open files of the hub; systemd's default is 1024


def test_hub_hangs_up_on_who_dawdles(probes: Probes, visitor: Visitor, settings: Settings) -> None:
    target = f"{settings.network.gateway}:{settings.network.hub_port}"
    heads = [f"POST /hub/login HTTP/1.1\r\nContent-Length: {length}" for length in (50_000_000, 100)]
    large, small = probes.in_container(visitor.id, "dawdle", target, IN_TIME, *heads)
    assert large is not None
    assert large < AT_ONCE
    assert small is not None


def test_status_page_takes_nothing_large(probes: Probes, settings: Settings) -> None:
    """Strangers reach it through the proxy, and its memory is limited."""
    if not settings.monitoring.graphite:
        pytest.skip("the settings want no status page")
    target = f"127.0.0.1:{settings.monitoring.status_port}"
    head = "POST /services/status/ HTTP/1.1\r\nContent-Length: 5000000"
    [seconds] = probes.on_host("dawdle", target, IN_TIME, head)
    assert seconds is not None
    assert seconds < AT_ONCE


@pytest.mark.parametrize("unit", ["jupyterhub", "jupyterhub-proxy"])
def test_there_are_files_for_many_connections(host: Host, unit: str) -> None:
    pid = host.check_output("systemctl show %s --property=MainPID --value", unit)
    line = host.check_output("grep '^Max open files' /proc/%s/limits", pid)
    assert int(line.split()[3]) >= LEAST


def test_hub_counts_no_method_that_somebody_has_made_up(
    probes: Probes, visitor: Visitor, hub_api: str, settings: Settings
) -> None:
    if not settings.monitoring.graphite:
        pytest.skip("the settings want no metrics, and no token that reads them")
    target = f"{settings.network.gateway}:{settings.network.hub_port}"
    heads = [f"{method} /hub/health HTTP/1.1\r\nConnection: close" for method in ("GET", "VERIFY")]
    probes.in_container(visitor.id, "dawdle", target, IN_TIME, *heads)
    [[status, metrics]] = probes.on_host("call", hub_api.removesuffix("/api"), TOKEN, "GET /metrics")
    assert status == 200
    assert 'method="GET"' in metrics
    assert 'method="VERIFY"' not in metrics
