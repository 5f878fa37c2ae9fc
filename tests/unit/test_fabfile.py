"""Fabric's way in: which hosts its tasks work on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fabfile
from provision.errors import SettingsError
from provision.machines.docker import DockerMachine
from provision.settings import Settings
from provision.ssh import Target


def named(
    monkeypatch: pytest.MonkeyPatch, hosts: str | None, *identities: str, settings: Any = None
) -> list[Target]:
    values = {"hosts": hosts, "identity": list(identities)}
    args = {name: SimpleNamespace(value=value) for name, value in values.items()}
    monkeypatch.setattr(fabfile, "program", SimpleNamespace(args=args))
    return fabfile._targets(settings)


def test_hosts_are_named_as_for_hubwright(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(monkeypatch, "me@a:22,b") == [Target("a", 22, "me"), Target("b")]


def test_no_name_is_the_machine_that_vagrant_raised(
    hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Target("127.0.0.1", 2222, "vagrant", made_here=True)
    monkeypatch.setattr(DockerMachine, "target", lambda _: machine)
    assert named(monkeypatch, None, settings=hub()) == [machine]


@pytest.mark.parametrize("hosts", ["", ",", ",,"])
def test_an_empty_name_is_not(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    with pytest.raises(SettingsError, match="-H names no host"):
        named(monkeypatch, hosts)


def test_a_key_has_to_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[hub]\n")
    with pytest.raises(SettingsError, match="no private key"):
        named(monkeypatch, "a", str(tmp_path / "hub.toml"))
