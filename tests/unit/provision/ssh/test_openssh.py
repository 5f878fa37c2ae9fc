"""Ways to hosts, in ssh's own word."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fabric
import paramiko
import pytest

from provision.errors import HubwrightError
from provision.ssh import Access, Target, UnknownHostKey, connections, openssh

FIRST, FRONT = ("porter", "first.example", 22), ("porter", "front.example", 2200)
KEY = paramiko.ECDSAKey.generate()
USUAL = "".join(f"identityfile ~/.ssh/id_{kind}\n" for kind in ("rsa", "ecdsa", "ed25519", "dsa"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "hostname inside.example\nuser ada\nport 2200\n",
            {"host": "inside.example", "user": "ada", "port": 2200},
        ),
        (
            "connecttimeout none\nproxyjump none\nproxycommand none\n",
            {"timeout": None, "jumps": (), "command": ""},
        ),
        ("connecttimeout 77\n", {"timeout": 77}),
        ("proxyjump a,me@b:2200\n", {"jumps": ("a", "me@b:2200")}),
        (
            "hostname h.example\nport 7\nuser u\nproxycommand nc -X %% %h %p %r %n\n",
            {"command": "nc -X % h.example 7 u name"},
        ),
        ("hostkeyalias hub\nidentitiesonly yes\n", {"alias": "hub", "only_these_keys": True}),
        (USUAL, {"keys": ()}),
    ],
)
def test_parse(text: str, expected: dict[str, Any]) -> None:
    way = openssh.parse("name", text)
    assert {key: getattr(way, key) for key in expected} == expected


def test_keys_that_are_not_there_are_passed_over_as_ssh_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "name_ed25519").write_text("key")
    way = openssh.parse("name", "identityfile ~/%n_ed25519\nidentityfile ~/gone\n")
    assert way.keys == (str(tmp_path / "name_ed25519"),)


def test_usual_files_of_known_hosts_are_left_to_our_own_defaults() -> None:
    text = "userknownhostsfile /root/.ssh/known_hosts /root/.ssh/known_hosts2\n"
    text += "globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n"
    assert openssh.parse("name", text).options == {}
    assert openssh.parse("name", "userknownhostsfile /srv/known\n").options == {
        "userknownhostsfile": "/srv/known"
    }


@pytest.mark.parametrize(
    ("jump", "parts"),
    [
        ("front", ("front", None, None)),
        ("me@front:2200", ("front", "me", 2200)),
        ("ssh://me@[::1]:22", ("::1", "me", 22)),
    ],
)
def test_split(jump: str, parts: tuple[Any, ...]) -> None:
    assert openssh.split(jump) == parts


def test_what_is_no_jump_host_is_refused() -> None:
    with pytest.raises(HubwrightError, match="names no jump host"):
        openssh.split("front:x")


def test_ssh_s_complaint_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], **_: Any) -> Any:
        asked.append(argv)
        return SimpleNamespace(
            returncode=255, stdout=b"", stderr=b"config line 3: Bad configuration option: prot"
        )

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(HubwrightError, match="Bad configuration option: prot") as caught:
        openssh.ask("hub", "me", 22)
    assert "ssh -G hub" in caught.value.hint
    assert asked[0][-6:] == ["-l", "me", "-p", "22", "--", "hub"]


# --- connections along them -----------------------------------------------------------------------

Configured = Callable[..., list[fabric.Connection]]


@pytest.fixture
def entering(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Configured:
    """A function that enters a host with these answers of ssh. Returns the connections that were opened."""

    def enter(host: str, answers: dict[str, str], user: str | None = None) -> list[fabric.Connection]:
        opened: list[fabric.Connection] = []

        def open_(connection: fabric.Connection) -> None:
            opened.append(connection)
            connection.transport = SimpleNamespace(set_keepalive=lambda _: None, sock=SimpleNamespace())

        def ask(name: str, user: str | None = None, port: int | None = None) -> openssh.Way:
            text = answers.get(name, "")
            forced = (f"user {user}\n" if user else "") + (f"port {port}\n" if port else "")
            return openssh.parse(name, text + forced)

        monkeypatch.setattr(openssh, "ask", ask)
        monkeypatch.setattr(fabric.Connection, "open", open_)
        with connections.connected(
            Target(host, user=user), Access(known_hosts=tmp_path / "known"), lambda _: None
        ):
            return opened

    return enter


def names(opened: list[fabric.Connection]) -> list[tuple[str, str, int]]:
    return [(hop.user, hop.host, hop.port) for hop in opened]


@pytest.mark.parametrize(
    ("jumps", "passed"),
    [
        ("front", [FIRST, FRONT]),
        (
            "front,me@second",
            [FIRST, FRONT, ("me", "second", 22)],
        ),
        ("second,front", [("two", "second", 22), FRONT]),
    ],
)
def test_jump_hosts_are_those_of_ssh(entering: Configured, jumps: str, passed: list[Any]) -> None:
    """Of several, the first is reached as its own configuration says, the others through the one before."""
    answers = {
        "inside": f"hostname inside.example\nproxyjump {jumps}\n",
        "front": "hostname front.example\nport 2200\nuser porter\nproxyjump first\n",
        "first": "hostname first.example\nuser porter\n",
        "second": "user two\n",
    }
    opened = entering("inside", answers, "me")
    assert names(opened) == [*passed, ("me", "inside.example", 22)]


def test_jump_hosts_in_a_circle_are_refused(entering: Configured) -> None:
    with pytest.raises(HubwrightError, match="in a circle: a → b → a"):
        entering("a", {"a": "proxyjump b\n", "b": "proxyjump a\n"})


def test_a_jump_host_for_all_hosts_is_reached_without_itself(entering: Configured) -> None:
    answers = {"hub": "proxyjump door\n", "door": "proxyjump door\n"}
    assert [hop.host for hop in entering("hub", answers)] == ["door", "hub"]


def test_keys_timeout_and_command_are_ssh_s(entering: Configured, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key")
    text = f"identityfile {tmp_path}/key\nidentitiesonly yes\nconnecttimeout 7\nproxycommand nc %h\n"
    (hop,) = entering("hub", {"hub": text})
    assert hop.connect_kwargs["key_filename"] == [f"{tmp_path}/key"]
    assert hop.connect_kwargs["look_for_keys"] is False
    assert (hop.connect_timeout, hop.gateway) == (7, "nc hub")


def test_a_host_key_is_known_by_its_alias(entering: Configured, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"the-hub {KEY.get_name()} {KEY.get_base64()}\n")
    (hop,) = entering("hub", {"hub": "hostname 10.0.0.7\nport 2200\nhostkeyalias the-hub\n"})
    hop.client._policy.missing_host_key(hop.client, "[10.0.0.7]:2200", KEY)
    (hop,) = entering("hub", {"hub": "hostname 10.0.0.7\nport 2200\n"})
    with pytest.raises(UnknownHostKey):
        hop.client._policy.missing_host_key(hop.client, "[10.0.0.7]:2200", KEY)
