"""Plain `vagrant`, without hubwright in front: the hub is back after each restart."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.support.hosts.containers import Host
from tests.support.operators import Operator
from tests.support.visitor import visit


def test_halt_and_up(operator: Operator, machine: Host) -> None:
    operator.vagrant("halt")
    operator.hubwright("apply", code=1).says("is stopped", "hubwright up")
    done = operator.vagrant("up")
    assert "0 changed, everything holds" in done.out + done.err
    assert machine.url in done.out
    assert asyncio.run(visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"


def test_reload(operator: Operator, machine: Host) -> None:
    booted = machine.run("cat /proc/1/stat").split()[21]
    operator.vagrant("reload")
    assert machine.run("cat /proc/1/stat").split()[21] != booted
    machine.wait_for_hub()
    assert asyncio.run(visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"


def test_ssh(operator: Operator, machine: Host) -> None:
    assert operator.vagrant("ssh", "--command", "hostname").out.strip() == machine.container


def test_up_after_a_power_cut(operator: Operator, machine: Host) -> None:
    """The machine starts by itself, and the hub with it, without another deploy."""
    machine.cut_power()
    machine.wait_for_hub()
    assert operator.hubwright("up").unchanged
    assert asyncio.run(visit(machine.url, "print(6 * 7)"))["printed"] == "42\n"


VIRTUALBOX = """\
#!/bin/sh
[ "$1" != --version ] || echo 7.0.20r163906
"""


def test_stanza_of_virtualbox_is_valid(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian has no VirtualBox; a program with a version is enough for Vagrant to check the keys."""
    program = tmp_path / "VBoxManage"
    program.write_text(VIRTUALBOX)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VAGRANT_DEFAULT_PROVIDER", "virtualbox")
    other = Operator(tmp_path, {**operator.hub, "vm": {"name": "valid", "forward": ["18085:8085"]}})
    other.write(other.hub)
    (tmp_path / "site.toml").write_text((operator.folder / "site.toml").read_text())
    assert "Vagrantfile validated successfully" in other.vagrant("validate").out
