"""Idle servers end, temporary accounts go, and the token that does it can do little else."""

from __future__ import annotations

import re
import time

import pytest
from testinfra.host import Host

from provision.settings import Settings
from tests.verify.conftest import CULLER_TOKEN, Probes, Visitor

UNIT = "hubwright-culler"
CULLER_TIMEOUT = 60  # seconds until it has asked the hub; it may have started a moment ago


@pytest.fixture
def _wanted(settings: Settings) -> None:
    if not settings.server.idle_timeout:
        pytest.skip("the settings want no culler")


def test_unit_is_as_wanted(host: Host, settings: Settings) -> None:
    service = host.service(UNIT)
    assert service.is_running is bool(settings.server.idle_timeout)
    assert service.exists is bool(settings.server.idle_timeout)
    if settings.server.idle_timeout:
        assert service.is_enabled


@pytest.mark.usefixtures("_wanted")
def test_unit_asks_the_hub_for_users(host: Host) -> None:
    """The culler asks when it starts, and then every ten minutes or more often."""
    show = f"systemctl show {UNIT} --property=ActiveEnterTimestamp --value --timestamp=unix"
    started, now = int(host.check_output(show).lstrip("@")), int(host.check_output("date +%s"))
    since = max(started, now - 25 * 60)

    def asked() -> bool:
        time.sleep(0.5)
        log = host.check_output(f"journalctl --quiet --output=cat --unit=jupyterhub --since=@{since}")
        return bool(re.search(r" 200 GET /hub/api/users\?.*\(idle-culler@", log))

    end = time.monotonic() + CULLER_TIMEOUT
    while not asked():
        assert time.monotonic() < end, "it has not asked"


@pytest.mark.usefixtures("_wanted")
def test_token_lists_users_with_their_servers(probes: Probes, hub_api: str, visitor: Visitor) -> None:
    [[status, users]] = probes.on_host("call", hub_api, CULLER_TOKEN, "GET /users?state=active")
    assert status == 200
    found = {user["name"]: user for user in users}
    assert found[visitor.name]["servers"][""]["last_activity"]


@pytest.mark.usefixtures("_wanted")
@pytest.mark.parametrize(
    "line",
    [
        "POST /users/{user}-s-friend",
        "POST /users/{user}/tokens",
        "GET /users/{user}/tokens",
        "POST /users/{user}/server",
        "GET /services",
        "GET /proxy",
        "GET /groups",
    ],
)
def test_token_is_refused_what_a_culler_does_not_do(
    probes: Probes, hub_api: str, visitor: Visitor, line: str
) -> None:
    [[status, _]] = probes.on_host("call", hub_api, CULLER_TOKEN, line.format(user=visitor.name))
    assert status == 403


@pytest.mark.usefixtures("_wanted")
def test_idle_server_ends_and_a_temporary_account_goes(
    host: Host, probes: Probes, hub_api: str, settings: Settings, another_visitor: Visitor
) -> None:
    user = another_visitor.name
    assert host.run("docker inspect %s", another_visitor.id).rc == 0
    probes.on_host("cull", hub_api, CULLER_TOKEN, user)
    assert host.run("docker inspect %s", another_visitor.id).rc != 0, "its server has ended"
    calls = (f"DELETE /users/{user}", f"GET /users/{user}")
    [[removed, _], [found, _]] = probes.on_host("call", hub_api, CULLER_TOKEN, *calls)
    assert (removed, found) == ((204, 404) if settings.auth.temporary else (403, 200))
