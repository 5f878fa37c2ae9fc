"""On a busy processor, the proxy and the hub come before visitors' servers, and all else after them."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.settings import Settings
from tests.verify.conftest import Probes, Visitor

CLEARLY = 1.5  # times as much processor time; the weights ask for four times as much, and for a fifth


@pytest.fixture(autouse=True)
def _side_by_side(host: Host) -> None:
    if not host.file("/sys/fs/cgroup/cgroup.controllers").exists:
        pytest.skip("with control groups 1 Docker keeps containers apart from services, and both are equal")


@pytest.mark.parametrize("unit", ["jupyterhub-proxy", "jupyterhub"])
def test_it_goes_before_a_visitor(probes: Probes, visitor: Visitor, unit: str) -> None:
    theirs, visitors = probes.on_host("compete", unit, visitor.id)
    assert theirs > CLEARLY * visitors


@pytest.mark.parametrize("unit", ["hubwright-culler", "hubwright-metrics", "hubwright-status"])
def test_it_comes_after_a_visitor(
    host: Host, probes: Probes, visitor: Visitor, settings: Settings, unit: str
) -> None:
    if not host.service(unit).is_running:
        pytest.skip("the settings do not want it")
    if settings.server.cpu < 1:
        pytest.skip(f"one server may not use a whole core: {settings.server.cpu}")
    theirs, visitors = probes.on_host("compete", unit, visitor.id)
    assert visitors > CLEARLY * theirs
