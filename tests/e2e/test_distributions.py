"""Every distribution that a host may run and this network has: in short, from bare to bare again.

This computer's own has all the other tests. The images of notebooks and of Graphite
are this computer's on every host.
"""

from __future__ import annotations

import asyncio
import json
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from provision.agent.distributions import KNOWN
from provision.settings import read_toml
from tests.support.hosts import ubuntu
from tests.support.hosts.containers import Host, bare_host, differences, docker, free_port, host_image
from tests.support.hosts.sudoers import PASSWORD, USERS, with_password
from tests.support.operators import Operator
from tests.support.visitor import visit

SUITES = {
    ("debian", "12"): "bookworm",
    ("debian", "13"): "trixie",
    ("ubuntu", "22.04"): "jammy",
    ("ubuntu", "24.04"): "noble",
    ("ubuntu", "26.04"): "resolute",
}
WITH_SUDO_RS = {("debian", "13"), ("ubuntu", "26.04")}
WITHOUT_CGROUPS_1 = {("ubuntu", "26.04")}  # systemd 258 and later
CGROUPS_2 = Path("/sys/fs/cgroup/cgroup.controllers")
OWN = tuple(platform.freedesktop_os_release().get(key, "") for key in ("ID", "VERSION_ID"))
OTHERS = [release for release in KNOWN if release != OWN]


def source(site: dict[str, Any], release: tuple[str, str], keys: Path) -> dict[str, Any]:
    """The [builder] for a host of that release; skips where there is none. `keys`: a folder."""
    builder: dict[str, Any] = site.get("builder", {})
    if builder.get("base") != "archive":
        name = ":".join(release)
        docker("pull", "--quiet", name)
        digest = docker("image", "inspect", "--format={{index .RepoDigests 0}}", name).rpartition("@")[2]
        return {**builder, "image": f"{name}@{digest.strip()}"}
    if release[0] == OWN[0]:
        return {**builder, "suite": SUITES[release]}
    if release[0] != "ubuntu":
        pytest.skip(f"no registry answers, and apt's archive here is {OWN[0]}'s")
    try:
        return ubuntu.builder(SUITES[release], keys)
    except OSError as error:
        pytest.skip(f"no registry answers, nor does {ubuntu.ARCHIVE}: {error}")


@pytest.fixture(scope="module")
def keys() -> Iterator[Path]:
    """A folder that everyone may read."""
    with tempfile.TemporaryDirectory(prefix="hubwright-keys-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


SAMPLE = {("debian", "13"), ("ubuntu", "24.04")}  # the newest of each family that runs everywhere
PARAMS = [
    pytest.param(release, id=KNOWN[release].name, marks=() if release in SAMPLE else pytest.mark.full)
    for release in OTHERS
]


@pytest.fixture(scope="module", params=PARAMS)
def host(
    request: pytest.FixtureRequest, operator: Operator, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    if request.param in WITHOUT_CGROUPS_1 and not CGROUPS_2.exists():
        pytest.skip("its systemd starts with control groups 2 alone, and this computer has version 1")
    folder = tmp_path_factory.mktemp("builder")
    site = read_toml(operator.folder / "site.toml")
    builder = source(site, request.param, keys)
    elsewhere = replace(operator, folder=folder)
    vm = operator.hub["vm"]  # name and port are taken while the session's machine runs
    elsewhere.write({**operator.hub, "vm": {**vm, "name": f"{vm['name']}-other", "port": free_port()}})
    (folder / "site.toml").write_text(tomli_w.dumps({**site, "builder": builder}), encoding="utf-8")
    elsewhere.hubwright("prepare")
    name = f"{operator.hub['vm']['name']}-{'-'.join(request.param).replace('.', '-')}"
    with bare_host(operator, name, image=host_image(elsewhere)) as host:
        assert request.param == tuple(host.run('. /etc/os-release; echo "$ID $VERSION_ID"').split())
        yield host


def test_hub_from_bare_to_bare_again(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    found = host.snapshot("host")["host"]

    [plan] = json.loads(operator.hubwright("plan", *there, "--json", code=3).out)
    assert plan["count"].get("failed", 0) == 0
    operator.hubwright("apply", *there)
    assert asyncio.run(visit(host.url, "print(6 * 7)"))["printed"] == "42\n"
    applied = host.snapshot("managed")
    assert operator.hubwright("apply", *there).unchanged
    assert host.snapshot("managed") == applied
    operator.hubwright("verify", *there[:4], "-k", "health or test_docker or test_fence")

    operator.hubwright("destroy", *there, "--yes")
    host.cut_power()  # a restart removes all that only the kernel holds, such as Docker's bridge
    assert differences(found, host.snapshot("host")["host"]) == {}


def test_password_of_the_other_sudo(
    operator: Operator, host: Host, there: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """sudo-rs, Ubuntu's since 25.10, loses input that follows the password's line too soon."""
    if request.node.callspec.params["host"] not in WITH_SUDO_RS:
        pytest.skip("its sudo-rs is too old to be anybody's sudo")
    host.run(f"""{USERS}
        apt-get install --quiet=2 --no-install-recommends sudo-rs >/dev/null
        ln --symbolic --force "$(readlink --canonicalize "$(command -v sudo-rs)")" "$(command -v sudo)"
        """)
    assert "sudo-rs" in host.run("sudo --version 2>&1")
    operator.hubwright("plan", *there, code=3)  # as a user who needs no password
    code, shown = with_password(operator, host, PASSWORD)
    assert code == 3, shown
    assert "start jupyterhub" in shown
    code, shown = with_password(operator, host, "wrong horse")
    assert code == 1, shown
    assert "sudo refused the password" in shown
