"""All that has to run does, and will after a reboot, and listens where it should."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from testinfra.host import Host

from provision.settings import Settings
from roles import table
from tests.verify.conftest import Probes, Visitor

DOCKER_API = 2375
EVERYWHERE = ("0.0.0.0", "::")


def test_units_run_and_are_enabled(host: Host, settings: Settings) -> None:
    units = table(settings).units(settings)
    assert {"docker", "jupyterhub"} <= set(units)
    active = {unit for unit in units if host.run("systemctl is-active %s", unit).rc == 0}
    enabled = {unit for unit in units if host.run("systemctl is-enabled %s", unit).rc == 0}
    assert (active, enabled) == (set(units), set(units))


@pytest.fixture(scope="module")
def addresses(host: Host, settings: Settings) -> list[str]:
    """All addresses of the host; those of IPv6 in brackets."""
    found = ["127.0.0.1", *host.check_output("hostname --all-ip-addresses").split()]
    if settings.tls.listen not in (*found, *EVERYWHERE):
        found.append(settings.tls.listen)
    return [f"[{address}]" if ":" in address else address for address in found]


@pytest.fixture(scope="module")
def reached(probes: Probes, addresses: list[str], settings: Settings) -> set[str]:
    """address:port of everything that answers on the host itself."""
    doors = {door.port for door in table(settings).doors(settings) if door.protocol == "tcp"}
    ports = {settings.hub.port, DOCKER_API, DOCKER_API + 1, *doors}
    targets = [f"{address}:{port}" for address in addresses for port in ports]
    return set(probes.on_host("reach", *targets))


def _at(reached: set[str], port: int) -> set[str]:
    return {target.rpartition(":")[0] for target in reached if target.endswith(f":{port}")}


def test_front_door_is_open_where_it_should_be(
    reached: set[str], addresses: list[str], settings: Settings
) -> None:
    """On every address; behind another web server, on the one that the settings name."""
    expected = set(addresses)
    if settings.tls.mode == "behind-proxy" and settings.tls.listen not in EVERYWHERE:
        expected = {urlsplit(settings.own_door).netloc.rpartition(":")[0]}
    elif settings.tls.listen == "0.0.0.0":
        expected = {address for address in addresses if ":" not in address}
    assert _at(reached, settings.hub.port) == expected


def test_hub_api_is_open_to_containers_only(reached: set[str], settings: Settings) -> None:
    assert _at(reached, settings.network.hub_port) == {settings.network.gateway}


def test_what_serves_the_host_alone_is_open_on_loopback_only(reached: set[str], settings: Settings) -> None:
    doors = [door for door in table(settings).doors(settings) if door.open_to == "host"]
    ports = {door.port for door in doors if door.protocol == "tcp"}
    assert len(ports) >= 1
    assert {port: _at(reached, port) for port in ports} == {port: {"127.0.0.1"} for port in ports}


def test_docker_api_has_no_port(reached: set[str]) -> None:
    assert not _at(reached, DOCKER_API) | _at(reached, DOCKER_API + 1)


def test_container_reaches_the_hub_api_and_no_other(
    probes: Probes, visitor: Visitor, addresses: list[str], settings: Settings
) -> None:
    closed = {door.port for door in table(settings).doors(settings) if door.open_to == "host"}
    api = settings.network.hub_port
    targets = [f"{address}:{port}" for address in addresses for port in (api, DOCKER_API, *closed)]
    reached = probes.in_container(visitor.id, "reach", *targets)
    assert reached == [f"{settings.network.gateway}:{api}"]
