"""What only the hub may know stays with it: tried as another user of the host, not read from mode bits."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from provision.settings import Settings

ENVIRONMENTS = {"proxy": "/etc/jupyterhub/secrets/proxy.env", "culler": "/etc/jupyterhub/secrets/culler.env"}
FILES = (
    "/etc/jupyterhub/hub.json",
    "/var/lib/jupyterhub/jupyterhub.sqlite",
    "/var/lib/jupyterhub/cookie_secret",
    "/var/lib/hubwright/applied.json",
    *ENVIRONMENTS.values(),
)
STRANGER = "runuser --user nobody -- "


@pytest.fixture
def _file_is_wanted(path: str, settings: Settings) -> None:
    if path == ENVIRONMENTS["culler"] and not settings.server.idle_timeout:
        pytest.skip("the settings want no culler")


@pytest.mark.usefixtures("_file_is_wanted")
@pytest.mark.parametrize("path", FILES)
def test_another_user_cannot_read(host: Host, path: str) -> None:
    assert host.run("test -s %s", path).rc == 0, "it is there, and root can see it"
    done = host.run(STRANGER + "cat %s", path)
    assert done.rc != 0
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


def test_tokens_are_in_no_argument_list_and_no_unit(host: Host) -> None:
    tokens = host.check_output("cat /etc/jupyterhub/secrets/*.env | cut -d= -f2").split()
    assert tokens
    assert min(map(len, tokens)) >= 32
    seen = host.check_output(
        STRANGER + "ps -ww -e -o args; "
        "runuser --user nobody -- systemctl show jupyterhub jupyterhub-proxy hubwright-culler"
    )
    assert "configurable-http-proxy" in seen
    assert not [name for name, token in enumerate(tokens) if token in seen]


def test_another_user_has_no_docker(host: Host) -> None:
    done = host.run(STRANGER + "docker ps")
    assert done.rc != 0
    assert "permission denied" in done.stderr.lower()
