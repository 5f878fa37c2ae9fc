"""A damaged record or bundle: one clear screen, the right exit code, and nothing is changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provision.agent.events import Error, parse
from provision.deploy.bundle import manifest, pack
from provision.settings import load
from provision.ssh.loader import LOADER
from tests.support.hosts.containers import Host
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import Operator

APPLIED = "/var/lib/hubwright/applied.json"


@pytest.fixture(scope="module")
def host(operator: Operator, deployed: Template) -> Iterator[Host]:
    with deployed.host(f"{operator.hub['vm']['name']}-state") as host, operator.changed(**QUICK):
        yield host


@contextmanager
def replaced(host: Host, change: str) -> Iterator[None]:
    """The record of what was applied, changed by a shell script, while the block runs."""
    host.run(f"cp --preserve {APPLIED} /root/applied; {change}")
    try:
        yield
    finally:
        host.run(f"mv /root/applied {APPLIED}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (f"truncate --size=-300 {APPLIED}", "is damaged"),
        pytest.param(f": >{APPLIED}", "is damaged", marks=pytest.mark.full),
        pytest.param(f"head --bytes=2000 /dev/urandom >{APPLIED}", "is damaged", marks=pytest.mark.full),
        (f'sed -i \'s/"version": 1/"version": 2/\' {APPLIED}', "another version of hubwright"),
    ],
    ids=["cut short", "empty", "noise", "newer"],
)
def test_record_that_cannot_be_read(
    operator: Operator, host: Host, there: tuple[str, ...], change: str, words: str
) -> None:
    before = {unit: host.start_time(unit) for unit in ("jupyterhub", "jupyterhub-proxy", "docker")}
    with replaced(host, change):
        content = host.run(f"sha256sum {APPLIED}")
        for command in (("plan",), ("apply",), ("destroy", "--yes")):
            operator.hubwright(*command, *there, code=1).says(words, APPLIED)
        if words == "is damaged":
            assert words in operator.hubwright("status", *there, code=1).out
        assert host.run(f"sha256sum {APPLIED}") == content
    assert before == {unit: host.start_time(unit) for unit in before}
    host.wait_for_hub()


def test_record_that_was_moved_away_as_the_message_says(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    with replaced(host, f"mv {APPLIED} {APPLIED}.damaged"):
        operator.hubwright("apply", *there)
        assert operator.hubwright("apply", *there).unchanged
        operator.hubwright("status", *there)
    host.run(f"rm {APPLIED}.damaged")


def test_bundle_that_is_cut_on_the_wire(operator: Operator, host: Host) -> None:
    packed = pack(manifest(load(operator.config), [], mode="apply"))
    for length in (len(packed) // 3, len(packed) - 1):
        done = subprocess.run(
            ["docker", "exec", "--interactive", host.container, "python3", "-c", LOADER],
            input=packed[:length],
            capture_output=True,
            check=False,
        )
        event = parse(done.stdout)
        assert isinstance(event, Error), done
        assert "cut short" in event.what
        assert (done.returncode, done.stderr) == (1, b"")


def test_resource_that_cannot_be_checked_is_named_and_the_others_are_looked_at(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    host.run("cd /opt/hubwright; mv services kept; ln --symbolic services services")
    try:
        host.run("rm /etc/systemd/system/hubwright-fence-repair.timer")
        done = operator.hubwright("plan", *there, "--json", code=1)
        [outcome] = json.loads(done.out)
        by_id = {result["id"]: result for result in outcome["results"]}
        failed = by_id["file:/opt/hubwright/services/counting_culler.py"]
        assert failed["status"] == "failed"
        assert "symbolic links" in failed["summary"]
        assert by_id["timer:hubwright-fence-repair"]["status"] == "would-change"
    finally:
        host.run("cd /opt/hubwright; rm services; mv kept services")
    operator.hubwright("apply", *there)
    assert operator.hubwright("apply", *there).unchanged
