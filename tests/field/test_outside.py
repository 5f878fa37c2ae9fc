"""Green means that people get in: the hub is looked at from other computers, and from containers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.hosts.containers import Host, docker
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import Done, Operator

NO_INDEX = "DOCKER-USER --in-interface hubwright0 --protocol tcp --dport 443 --jump REJECT"
NO_NAMES = "DOCKER-USER --in-interface hubwright0 --protocol udp --dport 53 --jump REJECT"
SHUT = "INPUT --in-interface eth0 --protocol tcp --dport 443 --jump REJECT --reject-with tcp-reset"


@pytest.fixture(scope="module")
def host(operator: Operator, deployed: Template) -> Iterator[Host]:
    """A host at an address of its own, with the front door at its usual port."""
    with deployed.host(f"{operator.hub['vm']['name']}-outside") as host:
        place = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        yield Host(host.container, 22, 443, docker("inspect", "--format", place, host.container).strip())


@contextmanager
def rule(host: Host, text: str) -> Iterator[None]:
    """A rule of a firewall on the host, while the block runs."""
    host.run(f"iptables --insert {text}")
    try:
        yield
    finally:
        host.run(f"iptables --delete {text}")


def changed(operator: Operator, there: tuple[str, ...], *options: str, **sections: Mapping[str, Any]) -> Done:
    """An apply that changes something."""
    hub = {"title": secrets.token_hex(4), **sections.pop("hub", {})}
    with operator.changed(**{**QUICK, "hub": hub, **sections}):
        return operator.hubwright("apply", *there, *options)


def test_hub_that_people_reach_gets_no_warning(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    assert "warning" not in changed(operator, there).err
    with operator.changed(**QUICK):
        done = operator.hubwright("verify", *there[:4], "-k", "test_outside")
    assert "2 passed" in done.out


def test_front_door_that_only_the_host_itself_reaches(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    with rule(host, SHUT):
        done = changed(operator, there)
        assert f"https://{host.address}:443/ does not answer: Connection refused" in done.err
        assert "people may not get in: asked from this computer" in done.err
        from_inside = changed(operator, there, "--from", host.login())
        assert "warning" not in from_inside.err
        with operator.changed(**QUICK):
            assert ": well" in operator.hubwright("status", *there).out
            operator.hubwright("verify", *there[:4], "-k", "reached_from_outside", code=1)


def test_domain_that_does_not_lead_to_the_host(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    done = changed(operator, there, hub={"domain": "hub.invalid"})
    assert "hub.invalid does not resolve" in done.err


@pytest.mark.parametrize(
    ("rejected", "words"),
    [(NO_INDEX, "containers do not reach pypi.org:443"), (NO_NAMES, "containers do not resolve")],
    ids=["index", "names"],
)
def test_containers_without_a_way_out(
    operator: Operator, host: Host, there: tuple[str, ...], rejected: str, words: str
) -> None:
    with rule(host, rejected):
        assert words in changed(operator, there).err
        with operator.changed(**QUICK):
            assert words in operator.hubwright("status", *there, code=1).out
            operator.hubwright("verify", *there[:4], "-k", "package_index", code=1)
    with operator.changed(**QUICK):
        operator.hubwright("status", *there)
