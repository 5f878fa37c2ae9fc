"""Runs that are ended at each of their boundaries: the next ones reach the end of a host left in peace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.faults import Breaker
from tests.support.faults.ends import differences, end_state
from tests.support.hosts.containers import Host, bare_host
from tests.support.operators import Operator
from tests.support.pki import authority

THEIRS = "mkdir -p /etc/theirs && echo theirs >/etc/theirs/file && echo '{\"a\": 1}' >/etc/theirs/keys.json"
ROLE = '''
from provision.agent.resources import *
from roles.role import Role

UNIT = """[Unit]
Description=Nothing, for ever
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
TIMER = "[Timer]\\nOnCalendar=daily\\n[Install]\\nWantedBy=timers.target\\n"
ONCE = "[Service]\\nType=oneshot\\nExecStart=/usr/bin/true\\n"


def steps(inputs):
    secret = File("/etc/ours/secret", "correct horse\\n", mode=0o600, secret=True)
    key = GeneratedSecret("/etc/ours/key", "KEY")
    return [
        User("ours", "/srv/ours"),
        Directory("/etc/ours"),
        secret,
        key,
        File("/etc/theirs/file", "ours\\n"),
        JsonKeys("/etc/theirs/keys.json", {"b": 2}),
        TrustedCertificate("ours", PEM),
        Directory("/srv/ours", owner="ours", group="ours"),
        File("/etc/ours/checked", "x\\n", check_with=("sh", "-c", "echo checked")),
        Service("ours", UNIT, watches=(secret.id, key.id)),
        Timer("ours-daily", TIMER, ONCE),
    ]


ROLE = Role("ours", "one of each kind", steps, units=lambda settings: ("ours",))
'''
EXTEND = {"extend": {"roles": ["ours.py"]}}


@pytest.fixture(scope="module")
def role(operator: Operator) -> tuple[str, ...]:
    """The words that apply the role alone, which brings a resource of most kinds in seconds."""
    (operator.folder / "ours.py").write_text(f"PEM = {authority().pem!r}\n{ROLE}", encoding="utf-8")
    return ("--only", "ours")


@pytest.fixture
def hosts(operator: Operator, request: pytest.FixtureRequest) -> Iterator[tuple[Host, Host]]:
    """Two hosts that are alike."""
    name = f"{operator.hub['vm']['name']}-{request.node.callspec.params['how']}"
    with bare_host(operator, f"{name}-1") as one, bare_host(operator, f"{name}-2") as other:
        for host in (one, other):
            host.run(THEIRS)
        yield one, other


def there(operator: Operator, host: Host) -> tuple[str, ...]:
    return ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")


def end_like_a_peaceful_one(
    operator: Operator, hosts: tuple[Host, Host], breaker: Breaker, *words: str
) -> None:
    """Compare a host whose runs were ended with one that was left in peace, after apply and destroy."""
    peaceful, broken = hosts
    found = end_state(broken)
    operator.hubwright("apply", *there(operator, peaceful), *words)
    assert breaker.until_done("apply", *there(operator, broken), *words)
    assert operator.hubwright("apply", *there(operator, broken), *words).unchanged
    assert differences(end_state(peaceful), end_state(broken)) == {}

    operator.hubwright("destroy", *there(operator, peaceful), "--yes")
    breaker.until_done("destroy", *there(operator, broken), "--yes")
    assert differences(end_state(peaceful), end_state(broken)) == {}
    assert differences(found, end_state(broken)) == {}


@pytest.mark.parametrize(("how", "every"), [("agent", 1)])
def test_a_resource_of_each_kind(
    operator: Operator, hosts: tuple[Host, Host], role: tuple[str, ...], how: str, every: int
) -> None:
    breaker = Breaker(operator, hosts[1], how, every)
    with operator.changed(**EXTEND):
        end_like_a_peaceful_one(operator, hosts, breaker, *role)
