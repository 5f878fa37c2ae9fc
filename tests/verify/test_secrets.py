"""The hub's secrets stay with it: tried as another user of the host, not read from mode bits."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.settings import Settings
from roles import table

JOURNALS = ("/var/lib/hubwright/applied.json",)
STRANGER = "runuser --user nobody -- "


def test_another_user_cannot_read(host: Host, settings: Settings) -> None:
    places = " ".join((*table(settings).secrets(settings), *JOURNALS))
    # Some settings do without one or another.
    files = host.run(f"find {places} -type f -size +0").stdout.splitlines()
    assert {"/etc/jupyterhub/hub.json", *JOURNALS} <= set(files), "they are there, and root can see them"
    for path in files:
        done = host.run(STRANGER + "cat %s", path)
        assert done.rc != 0, path
        assert done.stdout == ""
        assert "Permission denied" in done.stderr


def test_another_user_cannot_read_the_key_of_the_certificate(host: Host, settings: Settings) -> None:
    if settings.tls.own_scheme == "http":
        pytest.skip("the settings want no certificate here")
    assert host.run("ls /etc/jupyterhub/tls/*.pem").rc == 0, "it is there, and root can see it"
    done = host.run(STRANGER + "sh -c 'cat /etc/jupyterhub/tls/*.pem'")
    assert done.rc != 0
    assert done.stdout == ""


@pytest.mark.parametrize("folder", ["/etc/jupyterhub", "/etc/jupyterhub/secrets", "/var/lib/jupyterhub"])
def test_another_user_cannot_write(host: Host, folder: str) -> None:
    assert host.run(STRANGER + "test -w %s", folder).rc == 1


def test_tokens_are_in_no_argument_list_and_no_unit(host: Host, settings: Settings) -> None:
    tokens = host.check_output("cat /etc/jupyterhub/secrets/*.env | cut -d= -f2").split()
    assert tokens
    assert min(map(len, tokens)) >= 32
    seen = host.check_output(
        STRANGER + "ps -ww -e -o args; "
        f"runuser --user nobody -- systemctl show {' '.join(table(settings).units(settings))}"
    )
    assert "configurable-http-proxy" in seen
    assert not [name for name, token in enumerate(tokens) if token in seen]


def test_another_user_has_no_docker(host: Host) -> None:
    done = host.run(STRANGER + "docker ps")
    assert done.rc != 0
    assert "permission denied" in done.stderr.lower()
