"""An image of a whole hub: its copies share the hub and no secrets, and need no network."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.hosts.containers import Host, bare_host, docker, free_port
from tests.support.operators import Operator
from tests.support.visitor import visit

FIRST_BOOT_TIMEOUT = 300  # seconds for a first boot
# A line for each thing that no two machines may share: name and digest.
OWN = """
cd /
for path in etc/machine-id etc/ssh/ssh_host_*_key etc/jupyterhub/secrets/* etc/jupyterhub/tls/*.pem \
    var/lib/jupyterhub/cookie_secret etc/docker/key.json var/lib/docker/engine-id; do
    [ ! -e "$path" ] || sha256sum "$path" | while read -r digest name; do echo "$name $digest"; done
done
"""
USERS = "sqlite3.connect('/var/lib/jupyterhub/jupyterhub.sqlite').execute('select count(*) from users')"


def own(host: Host) -> dict[str, str]:
    return dict(line.split() for line in host.run(OWN).splitlines())


def users(host: Host) -> int:
    return int(host.run(f'python3 -c "import sqlite3; print({USERS}.fetchone()[0])"'))


def first_boot_ended(host: Host) -> None:
    end = time.monotonic() + FIRST_BOOT_TIMEOUT
    while host.succeeds("test -e /var/lib/hubwright-first-boot"):
        said = host.run("journalctl --quiet --output=cat --unit=hubwright-first-boot")
        assert time.monotonic() < end, said
        assert "error: " not in said, said
        time.sleep(0.2)


@pytest.fixture(scope="module")
def baker(operator: Operator) -> Iterator[Operator]:
    """An operator with a folder and a machine of its own, as the machine is used up."""
    name = f"hubwright-e2e-{secrets.token_hex(3)}"
    folder = Path(f"/tmp/{name}")
    folder.mkdir(mode=0o700)
    shutil.copy(operator.folder / "site.toml", folder)
    vm = {"provider": "docker", "name": name, "port": free_port()}
    found = replace(operator, folder=folder, hub={**operator.hub, "vm": vm})
    found.write(found.hub)
    try:
        yield found
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def baked(baker: Operator) -> tuple[Path, dict[str, str]]:
    """The image file, and the secrets of the machine that it was made of."""
    name, port = baker.hub["vm"]["name"], baker.hub["vm"]["port"]
    baker.hubwright("up")
    machine = Host(name, int(docker("port", name, "22/tcp").splitlines()[0].rpartition(":")[2]), port)
    asyncio.run(visit(machine.url, "1"))
    assert users(machine) > 0
    before = own(machine)
    (baker.folder / "docker0").write_text(machine.run("ip -4 -o route show dev docker0").split()[0])
    file = baker.folder / "hub.tar"
    said = baker.hubwright("bake", "--yes", str(file)).err
    for words in ("take away the SSH host keys", "take away the machine's id", "stop jupyterhub", str(file)):
        assert words in said
    assert not docker("ps", "--all", "--quiet", "--filter", f"name={name}")
    return file, before


@contextmanager
def internal_network(name: str, wanted: str) -> Iterator[str]:
    """A network whose containers reach only this computer; with the `wanted` range, if that is free."""
    create = ["docker", "network", "create", "--internal"]
    if subprocess.run([*create, f"--subnet={wanted}", name], capture_output=True, check=False).returncode:
        docker(*create[1:], name)
    try:
        yield name
    finally:
        docker("network", "rm", name)


def test_two_copies_share_nothing_and_need_no_network(
    baker: Operator, baked: tuple[Path, dict[str, str]]
) -> None:
    file, before = baked
    name = baker.hub["vm"]["name"]
    taken = (baker.folder / "docker0").read_text()  # by Docker's own network, where the image was made
    with baker.on_site(vm={"box": str(file)}):
        baker.hubwright("prepare")
        image = json.loads(baker.hubwright("config", "vm", "--json").out)["host_image"]
        assert image.startswith("hubwright/baked:")
        try:
            with (
                internal_network(name, wanted=taken) as network,
                bare_host(baker, f"{name}-a", image=image, network=network) as one,
                bare_host(baker, f"{name}-b", image=image, network=network) as two,
            ):
                found = [its_own_after_a_visit(host) for host in (one, two)]
        finally:
            docker("image", "rm", image)
    assert len(before) >= 8
    assert found[0].keys() == found[1].keys() == before.keys()
    for thing in before:
        assert len({before[thing], found[0][thing], found[1][thing]}) == 3, thing


def its_own_after_a_visit(host: Host) -> dict[str, str]:
    first_boot_ended(host)
    assert users(host) == 0
    assert asyncio.run(visit(host.url, "print(6 * 7)"))["printed"] == "42\n"
    return own(host)


def test_next_up_has_little_left_to_do(baker: Operator, baked: tuple[Path, dict[str, str]]) -> None:
    file, before = baked
    name = baker.hub["vm"]["name"]
    with baker.on_site(vm={"box": str(file)}):
        image = json.loads(baker.hubwright("config", "vm", "--json").out)["host_image"]
        try:
            said = baker.hubwright("up").err
            assert "the Python environment" not in said
            assert baker.hubwright("plan").unchanged
            machine = Host(name, 0, baker.hub["vm"]["port"])
            assert asyncio.run(visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"
            assert not set(own(machine).values()) & set(before.values())
            assert machine.run("systemctl --failed --plain --no-legend") == ""
        finally:
            baker.hubwright("destroy", "--yes")
            docker("image", "rm", image)


def test_box_that_is_not_there_is_named(baker: Operator) -> None:
    with baker.on_site(vm={"box": "nowhere.tar"}):
        baker.hubwright("up", code=2).says("nowhere.tar", "there is no such file", "hubwright bake")
