"""A visitor's container reaches nothing of the host but the hub, and not the cloud's metadata."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.settings import Settings
from tests.verify.conftest import Probes, Visitor

METADATA = "169.254.169.254:80"
DNS = 53


@pytest.fixture(scope="module")
def addresses(host: Host) -> list[str]:
    """The host's addresses without loopback; those of IPv6 in brackets."""
    found = host.check_output("hostname --all-ip-addresses").split()
    return [f"[{address}]" if ":" in address else address for address in found]


def test_container_reaches_the_hub_and_nothing_else_of_the_host(
    probes: Probes, visitor: Visitor, addresses: list[str], settings: Settings
) -> None:
    """The ports tried are those that the host itself reaches, of any program."""
    targets = [f"{address}:{port}" for port in probes.on_host("listening") for address in addresses]
    there = set(probes.on_host("reach", *targets))
    api = f"{settings.network.gateway}:{settings.network.hub_port}"
    doors = {target for target in there if int(target.rpartition(":")[2]) in settings.public_ports}
    names = {target for target in there if target.endswith(f":{DNS}")}
    others = there - doors - names - {api}
    assert others, "nothing else listens on the host, not even sshd"
    reached = set(probes.in_container(visitor.id, "reach", *there))
    assert not reached & others
    assert api in reached
    # Docker gives containers of this network no IPv6.
    assert reached >= {door for door in doors if not door.startswith("[")}


def test_container_does_not_reach_the_metadata_of_a_cloud(probes: Probes, visitor: Visitor) -> None:
    assert probes.in_container(visitor.id, "reach", METADATA) == []
