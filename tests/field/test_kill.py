"""Runs that are ended at each of their boundaries: the next ones reach the end of a host left in peace."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.support.faults import WAYS, Breaker
from tests.support.faults.ends import differences, end_state
from tests.support.hosts.containers import Host, bare_host
from tests.support.hosts.templates import QUICK
from tests.support.operators import Operator
from tests.support.pki import authority

THEIRS = """
mkdir -p /etc/theirs
echo theirs >/etc/theirs/file
printf '{\\n  "a": 1\\n}\\n' >/etc/theirs/keys.json
"""
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
    name = f"{operator.hub['vm']['name']}-{'-'.join(request.node.callspec.params['ways'])}"
    with bare_host(operator, f"{name}-1") as one, bare_host(operator, f"{name}-2") as other:
        for host in (one, other):
            host.run(THEIRS)
        yield one, other


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-killed") as host:
        host.run(THEIRS)
        yield host


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
    broken.cut_power()  # a restart removes what only the kernel holds, such as the engine's bridge
    assert differences(found, end_state(broken)) == {}


ALL = bool(os.environ.get("HUBWRIGHT_TEST_KILL"))  # `make kill` sets it: hours
SAMPLE = [pytest.param(WAYS, 7, id="sample")]
EACH_WAY = [pytest.param((way,), 1, id=way) for way in WAYS]


@pytest.mark.parametrize(("ways", "every"), EACH_WAY if ALL else SAMPLE)
def test_a_resource_of_each_kind(
    operator: Operator, hosts: tuple[Host, Host], role: tuple[str, ...], ways: tuple[str, ...], every: int
) -> None:
    breaker = Breaker(operator, hosts[1], ways, every)
    with operator.changed(**EXTEND):
        end_like_a_peaceful_one(operator, hosts, breaker, *role)


@pytest.mark.skipif(not ALL, reason="`make kill` runs it")
@pytest.mark.parametrize(("ways", "every"), [(("agent",), 1), (("driver", "ssh"), 5), (("power",), 9)])
def test_a_whole_hub(operator: Operator, hosts: tuple[Host, Host], ways: tuple[str, ...], every: int) -> None:
    breaker = Breaker(operator, hosts[1], ways, every, into=0.5)
    with operator.changed(**QUICK):
        end_like_a_peaceful_one(operator, hosts, breaker)


def slow(operator: Operator, seconds: int) -> None:
    """Write the role again, with a program in it that takes so long."""
    text = ROLE.replace("echo checked", f"sleep {seconds}; echo checked")
    (operator.folder / "ours.py").write_text(f"PEM = {authority().pem!r}\n{text}", encoding="utf-8")


def test_the_next_run_takes_over_from_one_whose_driver_was_killed(
    operator: Operator, host: Host, role: tuple[str, ...]
) -> None:
    words = ("apply", *there(operator, host), *role)
    with operator.changed(**EXTEND):
        slow(operator, 120)
        with operator.started(*words) as run:
            run.wait_for("ours: create /etc/ours/checked")
            operator.hubwright(*words, code=1).says("another run holds the lock")
            run.kill()
        began = time.monotonic()
        slow(operator, 0)
        operator.hubwright(*words)
        assert time.monotonic() - began < 15
        assert operator.hubwright(*words).unchanged
        assert not host.succeeds("pgrep --full 'sleep 120'")


def test_the_next_run_waits_for_programs_of_a_killed_agent(
    operator: Operator, host: Host, role: tuple[str, ...]
) -> None:
    host.run("rm -f /etc/ours/checked")
    words = ("apply", *there(operator, host), *role)
    with operator.changed(**EXTEND):
        slow(operator, 8)
        with operator.started(*words) as run:
            run.wait_for("ours: create /etc/ours/checked")
            host.run("kill -9 $(sed 's/.*pid \\([0-9]*\\).*/\\1/' /run/hubwright.lock)")
            assert run.end() == 1
        with operator.started(*words) as run:
            run.wait_for("waiting for .*sleep .*, which a killed run has started")
            assert run.end() == 0
        assert operator.hubwright(*words).unchanged
