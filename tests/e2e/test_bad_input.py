"""Errors found before a host is touched, and a hub.toml that asks for things that are not there."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.hosts.containers import Host, free_port
from tests.support.operators import Operator
from tests.support.visitor import visit

NOWHERE = f"127.0.0.1:1/nothing@sha256:{'0' * 64}"


def test_syntax_error_names_line_and_column(operator: Operator) -> None:
    with operator.changed():
        operator.config.write_text("[image]\nbuild = images\n")
        operator.hubwright("plan", code=2).says("hub.toml", "line 2, column 9")


def test_unknown_key_names_the_nearest(operator: Operator) -> None:
    with operator.changed(server={"memroy": "1G"}):
        operator.hubwright("apply", code=2).says("hub.toml: server.memroy", "did you mean 'memory'?")


def test_wrong_type_says_what_would_be_right(operator: Operator) -> None:
    with operator.changed(server={"pids": "many"}):
        operator.hubwright("apply", code=2).says("server.pids", "should be a whole number")


def test_unknown_option_is_bad_usage(operator: Operator) -> None:
    assert "No such option" in operator.hubwright("apply", "--colour", code=2).err


def test_port_in_use_on_this_computer(operator: Operator, tmp_path: Path) -> None:
    other = Operator(tmp_path, {})
    (tmp_path / "site.toml").write_text((operator.folder / "site.toml").read_text())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        name = f"{operator.hub['vm']['name']}-2"
        other.write({**operator.hub, "vm": {"name": name, "port": port}})
        other.hubwright("up", code=1).says(f"port {port}", "[vm] port")
    names = subprocess.run(
        ["docker", "ps", "-a", "--format={{.Names}}"], capture_output=True, text=True, check=True
    )
    assert name not in names.stdout.split()


def test_host_without_sshd(operator: Operator) -> None:
    host = f"somebody@127.0.0.1:{free_port()}"
    operator.hubwright("apply", "-H", host, code=1).says(host.partition("@")[2], "Connection refused")


def test_host_that_hangs_up(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        with operator.started("apply", "-H", f"somebody@127.0.0.1:{server.getsockname()[1]}") as run:
            server.accept()[0].close()
            assert run.end() == 1
    assert "does not answer" in "".join(run.lines)


def test_host_name_that_is_none(operator: Operator) -> None:
    operator.hubwright("apply", "-H", "nobody@host.invalid", code=1).says("host.invalid", "no such host")
    operator.hubwright("apply", "-H", "a b", code=2).says("names no host")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("archive", ["nothing.tar", "/nowhere/nothing.tar"])
def test_archive_that_is_not_there(operator: Operator, archive: str) -> None:
    hub = {**operator.hub, "image": {"archive": archive}}
    with operator.changed():
        operator.write(hub)
        operator.hubwright("apply", code=2).says("nothing.tar", "docker save")


def test_image_that_is_not_there_leaves_the_old_one_in_use(operator: Operator, machine: Host) -> None:
    hub = {**operator.hub, "image": {"reference": NOWHERE}}
    with operator.changed():
        operator.write(hub)
        operator.hubwright("plan", code=3)
        done = operator.hubwright("apply", code=1)
    done.says("cannot be pulled", NOWHERE, "[image] reference")
    assert asyncio.run(visit(machine.url, "print(42)"))["printed"] == "42\n"
    operator.hubwright("status")
    operator.hubwright("apply")
    assert operator.hubwright("apply").unchanged


@pytest.mark.usefixtures("machine")
def test_archive_that_is_none(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"not an archive" * 1000)
    hub = {**operator.hub, "image": {"archive": str(tmp_path / "image.tar")}}
    with operator.changed():
        operator.write(hub)
        operator.hubwright("apply", code=1).says("docker load")
    operator.hubwright("apply")
    assert operator.hubwright("apply").unchanged
