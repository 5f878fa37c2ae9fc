"""Green means that people get in: the hub is looked at from other computers, and from containers."""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.hosts.containers import Host, docker
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import Done, Operator
from tests.support.visitor import Visitor

IDLE = 7  # seconds; Node closes an idle connection after 5 by itself
VISITOR = "203.0.113.77"  # an address for documentation, RFC 5737

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


@pytest.mark.usefixtures("host")
def test_hub_that_people_reach_gets_no_warning(operator: Operator, there: tuple[str, ...]) -> None:
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


@pytest.mark.full
@pytest.mark.usefixtures("host")
def test_domain_that_does_not_lead_to_the_host(operator: Operator, there: tuple[str, ...]) -> None:
    done = changed(operator, there, hub={"domain": "hub.invalid"})
    assert "hub.invalid does not resolve" in done.err


@pytest.mark.parametrize(
    ("rejected", "words"),
    [
        (NO_INDEX, "containers do not reach pypi.org:443"),
        pytest.param(NO_NAMES, "containers do not resolve", marks=pytest.mark.full),
    ],
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


def test_balancer_in_front_is_trusted_by_its_range_and_keeps_its_connections(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    """This computer takes the part of the balancer."""
    connection = http.client.HTTPSConnection(host.address, 443, context=ssl._create_unverified_context())

    def ask() -> http.client.HTTPResponse:
        connection.request("GET", "/hub/login?next=", headers={"X-Forwarded-For": VISITOR})
        answer = connection.getresponse()
        answer.read()
        return answer

    def seen() -> bool:
        return VISITOR in host.run("journalctl --quiet --unit=jupyterhub --lines=20 --output=cat")

    ask()
    assert not seen()
    connection.close()
    network = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]["Subnet"]
    changed(operator, there, tls={"trusted_proxies": [network]})
    ask()
    assert seen()
    kept = connection.sock
    time.sleep(IDLE)
    ask()
    assert connection.sock is kept, "it was not opened again"
    connection.close()


def test_balancer_that_ends_https_is_not_sent_back_to_itself(host: Host) -> None:
    connection = http.client.HTTPConnection(host.address, 80, timeout=10)
    connection.request("GET", "/", headers={"X-Forwarded-Proto": "https"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (421, None)
    assert b'mode = "behind-proxy"' in answer.read()
    connection.close()


def test_pages_of_named_sites_may_show_the_hub_and_its_servers(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    policy = "Content-Security-Policy"

    async def visited() -> dict[str, str]:
        visitor = Visitor(host.url)
        await visitor.arrive()
        server = await visitor.request("GET", f"{visitor.server}lab")
        login = await visitor.request("GET", f"{visitor.url}hub/home")
        return {"server": server.headers[policy], "hub": login.headers[policy]}

    before = asyncio.run(visited())
    assert before["hub"].startswith("frame-ancestors 'none'")
    assert "frame-ancestors 'none'" in before["server"]
    changed(operator, there, hub={"frame_ancestors": ["https://lms.example.org"]})
    after = asyncio.run(visited())
    assert after["hub"] == after["server"] == "frame-ancestors 'self' https://lms.example.org"
