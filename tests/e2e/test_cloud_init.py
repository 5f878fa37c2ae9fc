"""A cloud instance that is given user-data and nothing else: no SSH until it is a hub."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.hosts.containers import Host, docker, free_port
from tests.support.hosts.instances import instance, instance_image, published
from tests.support.operators import Done, Operator
from tests.support.visitor import visit

FIRST_BOOT_TIMEOUT = 300  # seconds for a first boot
LEFT = (
    "ls -d /var/lib/hubwright-first-boot /etc/systemd/system/hubwright-first-boot*"
    " /etc/systemd/system/*/hubwright-first-boot* /var/lib/cloud/scripts/per-boot/*"
)


@dataclass(frozen=True)
class Published:
    """The files that an operator has made and put on a web server."""

    said: Done
    user_data: Path
    parts: Path
    ssh_port: int

    @property
    def bundle(self) -> Path:
        (bundle,) = self.parts.glob("hub-*.xz")
        return bundle


@pytest.fixture(scope="module")
def made(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("cloud")
    parts, port = folder / "parts", free_port()
    parts.mkdir()
    with published(operator, parts) as url:
        said = operator.hubwright(
            *("cloud-init", "--parts", str(parts), "--part-url", url),
            *("--host-key", str(folder / "host_key"), "--known-as", f"127.0.0.1:{port}"),
            *("--authorized-key", str(operator.key.with_suffix(".pub"))),
        )
        user_data = folder / "user-data"
        user_data.write_text(said.out, encoding="utf-8")
        yield Published(said, user_data, parts, port)


def outcome(host: Host) -> str:
    """The state that cloud-init reports of this boot, once it is over."""
    argv = ["docker", "exec", host.container, "cloud-init", "status", "--wait", "--long"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=FIRST_BOOT_TIMEOUT, check=False)
    assert done.returncode == ("status: error" in done.stdout), done.stdout
    return done.stdout


def journal(host: Host) -> str:
    return host.run("journalctl --sync; journalctl --quiet --output=cat --unit=hubwright-first-boot --boot")


def wait_for(host: Host, words: str) -> None:
    end = time.monotonic() + FIRST_BOOT_TIMEOUT
    while words not in journal(host):
        assert time.monotonic() < end, journal(host)
        time.sleep(0.2)


def test_user_data_is_small_and_valid(operator: Operator, made: Published) -> None:
    size = made.user_data.stat().st_size
    assert size < 16 * 1024
    assert f"user-data: {size / 1024:.1f} of 16 KiB" in made.said.err
    argv = ["run", "--rm", "--interactive", "--entrypoint", "sh", instance_image(operator), "-euc"]
    check = "cat >/tmp/user-data; cloud-init schema --config-file /tmp/user-data"
    text = made.user_data.read_text("utf-8")
    assert "Valid cloud-config" in docker(*argv, check, stdin=text)
    with pytest.raises(AssertionError, match=r"Invalid cloud-config|Cloud config schema errors"):
        docker(*argv, check, stdin=text.replace('"permissions"', '"permission"'))


def test_instance_becomes_the_hub_by_itself(operator: Operator, made: Published) -> None:
    """It is given a wrong part, then the right one, loses its power in the middle, and ends as a hub."""
    right = made.bundle.read_bytes()
    made.bundle.write_bytes(right[:-1] + b"?")
    name = f"{operator.hub['vm']['name']}-cloud"
    with instance(operator, name, made.user_data, made.ssh_port) as host:
        said = outcome(host)
        assert "status: error" in said
        assert "1 failures (hubwright)" in said
        for words in (journal(host), host.run("cat /var/log/cloud-init-output.log")):
            assert f"{made.bundle.name} is not what was expected, and was not run" in words
            assert " next: publish the file" in words
        assert host.run("systemctl show hubwright-first-boot --property=Result --value") == "exit-code\n"
        assert not host.succeeds("test -e /opt/hubwright")

        made.bundle.write_bytes(right)
        host.cut_power()
        wait_for(host, "changed: docker: install")
        host.cut_power()
        assert "status: done" in outcome(host)
        assert "done: " in journal(host)
        assert not host.succeeds(f"{LEFT} 2>/dev/null | grep .")

        host.wait_for_hub()
        assert asyncio.run(visit(host.url, "print(6 * 7)"))["printed"] == "42\n"
        there = ("-H", f"debian@127.0.0.1:{made.ssh_port}", "-i", str(operator.key))
        assert operator.hubwright("plan", *there).unchanged, "and its host key is known already"

        host.cut_power()
        assert "status: done" in outcome(host)
        host.wait_for_hub()
        assert operator.hubwright("plan", *there).unchanged
        operator.hubwright("destroy", "--yes", *there)
        assert not host.succeeds(
            "ls -d /opt/hubwright /var/lib/hubwright* /etc/jupyterhub 2>/dev/null | grep ."
        )
