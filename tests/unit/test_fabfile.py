"""Fabric's tasks, and the hosts that they work on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invoke.collection import Collection

import fabfile
import roles
from provision.cli import cli
from provision.errors import Exit, SettingsError
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


@pytest.mark.parametrize("known", [True, False])
def test_logs_of_a_person_s_server(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    asked: dict[str, Any] = {}

    def server_logs(*_: Any, **words: Any) -> bool:
        asked.update(words)
        return known

    monkeypatch.setattr(fabfile, "_settings", lambda: None)
    monkeypatch.setattr(fabfile, "_targets", lambda _: [])
    monkeypatch.setattr(fabfile, "_access", lambda _: None)
    monkeypatch.setattr(fabfile, "server_logs", server_logs)
    logs: Any = inspect.unwrap(fabfile.logs.body)
    assert logs(None, server="ada", lines=5) is (Exit.DONE if known else Exit.FAILED)
    assert asked == {"name": "ada", "lines": 5, "follow": False}


@pytest.mark.parametrize("words", [{"lines": -5}, {"lines": 10**14}, {"unit": "hub", "server": "ada"}])
def test_logs_that_cannot_be_shown(monkeypatch: pytest.MonkeyPatch, words: dict[str, Any]) -> None:
    monkeypatch.setattr(fabfile, "_settings", lambda: None)
    monkeypatch.setattr(fabfile, "_targets", lambda _: pytest.fail("a host is asked"))
    logs: Any = inspect.unwrap(fabfile.logs.body)
    with pytest.raises(SettingsError):
        logs(None, **words)


def test_a_task_of_a_command_s_name_does_the_same() -> None:
    tasks = Collection.from_module(fabfile).task_names
    assert set(tasks) & set(cli.commands) == {"logs", "plan", "status", "verify"}
    assert set(tasks) >= {f"role-{name.replace('_', '-')}" for name in roles.SHIPPED.names}


@pytest.mark.parametrize("hosts", ["", ",", ",,"])
def test_an_empty_name_is_not(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    with pytest.raises(SettingsError, match="-H names no host"):
        named(monkeypatch, hosts)


def test_a_key_has_to_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[hub]\n")
    with pytest.raises(SettingsError, match="no private key"):
        named(monkeypatch, "a", str(tmp_path / "hub.toml"))
