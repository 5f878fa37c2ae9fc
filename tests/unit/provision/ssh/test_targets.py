"""The names of hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.errors import SettingsError
from provision.ssh import Target


@pytest.mark.parametrize(
    ("text", "host", "port", "user", "name"),
    [
        ("host", "host", None, None, "host"),
        ("me@host", "host", None, "me", "host"),
        ("me@host.example.org:2222", "host.example.org", 2222, "me", "host.example.org:2222"),
        ("127.0.0.1:22", "127.0.0.1", 22, None, "127.0.0.1:22"),
        ("root@[fd00::1]:22", "fd00::1", 22, "root", "fd00::1:22"),
        ("[::1]", "::1", None, None, "::1"),
    ],
)
def test_a_target_is_written_as_ssh_does(text: str, host: str, port: int, user: str, name: str) -> None:
    target = Target.parse(text, Path("key"))
    assert (target.host, target.port, target.user, target.identity) == (host, port, user, Path("key"))
    assert target.name == name
    assert not target.made_here


@pytest.mark.parametrize(
    "text", ["", "me@", "@host", "host:", "host:ssh", "a b", "me@host:1:2", "a@b@c", "::1"]
)
def test_no_targets(text: str) -> None:
    with pytest.raises(SettingsError, match="names no host"):
        Target.parse(text)


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_no_ports(port: str) -> None:
    with pytest.raises(SettingsError, match=f"'host:{port}': there is no port {port}") as caught:
        Target.parse(f"host:{port}")
    assert "1 to 65535" in caught.value.hint
