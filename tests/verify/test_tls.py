"""Visitors are met over https, with a certificate that they can trust."""

from __future__ import annotations

import secrets
import time

import pytest
from testinfra.host import Host

from provision.settings import Settings
from tests.verify.conftest import Probes

DAYS = 14  # the least time a certificate has left: its renewal was due long before
STRANGER = "192.0.2.1"  # an address for documentation, which no machine has
LOG_TIMEOUT = 60  # seconds until a visit is in the hub's log
RENEWAL = "hubwright-certificate"


@pytest.fixture
def _own_certificate(settings: Settings) -> None:
    if settings.tls.own_scheme == "http":
        pytest.skip("the settings want plain HTTP here")


@pytest.fixture
def name(settings: Settings) -> str:
    """The name by which visitors reach the hub."""
    return settings.hub.domain or "localhost"


@pytest.fixture
def shown(settings: Settings, name: str) -> str:
    """A shell command that prints the certificate that visitors are shown, with its chain."""
    place = f"-connect 127.0.0.1:{settings.hub.port} -servername {name}"
    return f"openssl s_client {place} -showcerts </dev/null 2>/dev/null"


@pytest.mark.usefixtures("_own_certificate")
def test_certificate_names_the_hub(host: Host, name: str, shown: str) -> None:
    kind = "checkip" if name.replace(".", "").isdigit() or ":" in name else "checkhost"
    said = host.check_output(f"{shown} | openssl x509 -noout -{kind} {name}")
    assert "does match" in said


@pytest.mark.usefixtures("_own_certificate")
def test_certificate_is_valid_and_stays_so(host: Host, shown: str) -> None:
    done = host.run(f"{shown} | openssl x509 -noout -checkend {DAYS * 86400}")
    assert done.rc == 0, done.stdout
    begins = host.check_output(f"{shown} | openssl x509 -noout -startdate | cut -d= -f2")
    assert int(host.check_output("date --date %s +%%s", begins)) <= time.time()


@pytest.mark.usefixtures("_own_certificate")
def test_certificate_is_the_one_that_is_kept(host: Host, shown: str) -> None:
    fingerprint = "openssl x509 -noout -fingerprint -sha256"
    kept = host.check_output(f"{fingerprint} -in /etc/jupyterhub/tls/*.pem")
    assert host.check_output(f"{shown} | {fingerprint}") == kept


@pytest.mark.usefixtures("_own_certificate")
def test_old_protocols_are_refused(host: Host, settings: Settings) -> None:
    connect = f"openssl s_client -connect 127.0.0.1:{settings.hub.port} -cipher DEFAULT@SECLEVEL=0"
    assert host.run(f"{connect} -tls1_2 </dev/null").rc == 0
    assert host.run(f"{connect} -tls1_1 </dev/null").rc != 0


def test_port_80_leads_to_https(probes: Probes, settings: Settings) -> None:
    if not settings.redirect_port:
        pytest.skip("the settings want no redirect")
    url = f"http://127.0.0.1:{settings.redirect_port}/hub/login"
    answer = probes.on_host("ask", url, "Host=visitors-call-it.example")
    name = settings.hub.domain or "visitors-call-it.example"
    port = "" if settings.hub.port == 443 else f":{settings.hub.port}"
    assert answer["status"] == 308
    assert answer["location"] == f"https://{f'[{name}]' if ':' in name else name}{port}/hub/login"


def test_renewal_is_scheduled_and_works(host: Host, settings: Settings) -> None:
    if settings.tls.mode not in ("self-signed", "letsencrypt"):
        pytest.skip("the settings name a certificate that is renewed elsewhere")
    timer = host.service(f"{RENEWAL}.timer")
    assert timer.is_running
    assert timer.is_enabled
    host.check_output(f"systemctl start {RENEWAL}.service")  # once, in case the host's address has changed
    kept = host.check_output("cat /etc/jupyterhub/tls/*.pem")
    host.check_output(f"systemctl start {RENEWAL}.service")
    assert host.check_output("cat /etc/jupyterhub/tls/*.pem") == kept, "it is not due yet"


def test_cookies_travel_over_https_only(probes: Probes, front_door: str, settings: Settings) -> None:
    if settings.tls.scheme == "http":
        pytest.skip("the settings want plain HTTP")
    answer = probes.on_host("ask", f"{front_door}hub/login")
    visitor = probes.on_host("ask", f"{front_door}hub/error/404")
    cookies = answer["cookies"] + visitor["cookies"]
    assert cookies, "the hub gives every visitor one"
    assert [cookie for cookie in cookies if "secure" not in cookie.lower()] == []


def test_visitors_cannot_claim_another_address(
    host: Host, probes: Probes, front_door: str, settings: Settings
) -> None:
    if settings.tls.mode == "behind-proxy":
        pytest.skip("the web server in front says who the visitor is")
    path = f"hub/verify-{secrets.token_hex(4)}"
    claims = [f"{header}={STRANGER}" for header in ("X-Forwarded-For", "X-Real-Ip")]
    probes.on_host("ask", f"{front_door}{path}", *claims)
    end = time.monotonic() + LOG_TIMEOUT
    while not (log := host.run(f"journalctl -u jupyterhub --since=-1hour -o cat | grep {path}").stdout):
        assert time.monotonic() < end, "the hub's log says nothing of the visit"
        time.sleep(0.2)
    assert STRANGER not in log
    assert "127.0.0.1" in log
