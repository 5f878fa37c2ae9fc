"""The distributions that a host may run, and their differences."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from provision.agent.distributions import KNOWN, identify, parse_os_release, require_writable
from provision.agent.resources import Problem


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('ID=debian\nVERSION_ID="12"\n', "Debian 12"),
        ("# comment=1\nNAME='Ubuntu'\nVERSION_ID='24.04'\nID=ubuntu\n", "Ubuntu 24.04"),
    ],
)
def test_known_distributions(text: str, known: str) -> None:
    assert identify(parse_os_release(text)).name == known


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('ID=fedora\nVERSION_ID=43\nPRETTY_NAME="Fedora Linux 43"', "Fedora Linux 43"),
        ('ID=ubuntu\nVERSION_ID="20.04"\nPRETTY_NAME="Ubuntu 20.04.6 LTS"', "Ubuntu 20.04.6 LTS"),
        ("", "this system"),
    ],
)
def test_other_distributions_are_refused_by_name(text: str, name: str) -> None:
    with pytest.raises(Problem, match=f"{name} is not supported") as caught:
        identify(parse_os_release(text))
    assert all(known.name in caught.value.hint for known in KNOWN.values())


def test_debian_13_has_docker_s_client_in_a_package_of_its_own() -> None:
    wanted = ("docker.io", "iptables")
    assert KNOWN["debian", "12"].packages(wanted) == ["docker.io", "iptables"]
    assert KNOWN["debian", "13"].packages(wanted) == ["docker.io", "docker-cli", "iptables"]


def test_a_read_only_file_system_is_refused_before_anything_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_only = {"/opt"}
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY if path in read_only else 0)
    )
    require_writable("/etc", "/var/lib")
    with pytest.raises(Problem, match="/opt is mounted read-only") as caught:
        require_writable("/etc", "/opt")
    assert "remount,rw /opt" in caught.value.hint
