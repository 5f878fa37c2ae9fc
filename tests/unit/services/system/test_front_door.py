"""Redirect, certificate and ports of the proxy, as far as they are pure; the rest is in e2e/test_tls.py."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from provision.agent.resources import FreePort, KeptCertificate, Problem, ResolvableName
from provision.agent.resources.network import names, ports
from provision.agent.resources.network.ports import Holder, parse_sockets, parse_unit
from provision.deploy.vhost import vhost
from provision.errors import SettingsError
from provision.settings import Settings
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine

PROGRAMS = Path(__file__).parents[4] / "services" / "system"


def program(name: str) -> ModuleType:
    """A program of the host, loaded by itself."""
    spec = importlib.util.spec_from_file_location(f"front_door_{name}", PROGRAMS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


redirect = program("redirect")
keep = program("keep_certificate")


# --- port 80 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "path", "port", "domain", "target"),
    [
        ("hub.example.org", "/a?b=c", 443, "", "https://hub.example.org/a?b=c"),
        ("hub.example.org:80", "/", 443, "", "https://hub.example.org/"),
        ("10.0.0.1", "/", 8443, "", "https://10.0.0.1:8443/"),
        ("[2001:db8::1]:80", "/", 443, "", "https://[2001:db8::1]/"),
        ("10.0.0.1", "/x", 443, "hub.example.org", "https://hub.example.org/x"),
        ("x", "/", 443, "2001:db8::1", "https://[2001:db8::1]/"),
        ("", "/", 443, "hub.example.org", "https://hub.example.org/"),
        ("", "/", 443, "", None),
        ("a b", "/", 443, "", None),
        ("a@b", "/", 443, "", None),
        ("a/b", "/", 443, "", None),
        ("hub.example.org", "http://evil.example/", 443, "", "https://hub.example.org/"),
        ("hub.example.org", "*", 443, "", "https://hub.example.org/"),
    ],
)
def test_where_port_80_leads(host: str, path: str, port: int, domain: str, target: str | None) -> None:
    assert redirect.location(host, path, port, domain) == target


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/.well-known/acme-challenge/aB_-9", "aB_-9"),
        ("/.well-known/acme-challenge/../../secret", None),
        ("/.well-known/acme-challenge/%2e%2e", None),
        ("/.well-known/acme-challenge/", None),
        ("/.well-known/acme-challenge/a/b", None),
        ("/x/.well-known/acme-challenge/a", None),
    ],
)
def test_only_challenges_are_shown(path: str, token: str | None) -> None:
    match = redirect.CHALLENGE.fullmatch(path)
    assert (match[1] if match else None) == token


def asked(sent: bytes, webroot: Path | None = None) -> bytes:
    """Port 80's answer to a text, which ends in the middle when it is no complete request."""
    said = bytearray()
    writer = SimpleNamespace(write=said.extend, close=lambda: None)

    async def scenario() -> None:
        reader = asyncio.StreamReader(limit=redirect.MAX_REQUEST)
        reader.feed_data(sent)
        await redirect.Redirect(443, webroot=webroot).serve(reader, writer)

    asyncio.run(scenario())
    return bytes(said)


def test_a_request_of_port_80_is_answered(tmp_path: Path) -> None:
    token = tmp_path / ".well-known" / "acme-challenge" / "abc"
    token.parent.mkdir(parents=True)
    token.write_text("proof")
    challenge = b" /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: x\r\n\r\n"
    assert asked(b"GET" + challenge, tmp_path).endswith(b"\r\nContent-Length: 5\r\n\r\nproof")
    assert asked(b"HEAD" + challenge, tmp_path).endswith(b"\r\nContent-Length: 5\r\n\r\n")
    assert asked(b"GET" + challenge).startswith(b"HTTP/1.1 308 ")
    assert asked(b"GET" + challenge.replace(b"abc", b"other"), tmp_path).startswith(b"HTTP/1.1 404 ")
    answer = asked(b"POST /a HTTP/1.1\r\nHOST: hub.example.org\r\nA: b\r\n\r\n")
    assert b"\r\nLocation: https://hub.example.org/a\r\n" in answer
    again = asked(b"GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert again.startswith(b"HTTP/1.1 421 ")  # else a proxy that ends https is sent back to itself
    assert b"port 443" in again
    assert asked(b"GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: http\r\n\r\n").startswith(
        b"HTTP/1.1 308 "
    )
    assert asked(b"GET /a HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /a HTTP/1.1\r\nHost: x\r\n",
        b"GET /" + b"a" * 20000,
        b"GET /a\nSet-Cookie:b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["unfinished", "endless", "injected", "not ASCII", "nonsense"],
)
def test_who_does_not_finish_a_request_is_hung_up_on(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redirect, "REQUEST_TIMEOUT", 0.05)
    assert asked(sent) == b""


# --- the certificate ------------------------------------------------------------------------------

NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("age", "left", "reason"),
    [
        (0, 365, ""),
        (335, 30.5, ""),
        (336, 29, "it expires on 2026-12-19"),
        (366, -1, "it has expired"),
        (59, 31, ""),  # 90 days: the last third
        (61, 29, "it expires on 2026-12-19"),
        (3.9, 2.1, ""),  # 6 days
        (4.1, 1.9, "it expires on 2026-11-21"),
    ],
)
def test_when_a_certificate_is_renewed(age: float, left: float, reason: str) -> None:
    assert keep.due(NOW - timedelta(days=age), NOW + timedelta(days=left), NOW) == reason


def test_what_openssl_says_of_a_certificate() -> None:
    begin, end, names_ = keep.parse_certificate(
        "notBefore=Nov  1 23:04:59 2026 GMT\nnotAfter=Nov 20 23:04:59 2027 GMT\n"
        "X509v3 Subject Alternative Name: \n"
        "    IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:hub, DNS:hub.example.org\n"
    )
    assert (begin.day, end.year) == (1, 2027)
    assert names_ == {"127.0.0.1", "::1", "hub", "hub.example.org"}


def test_addresses_that_last() -> None:
    links = [
        {"ifname": "eth0", "addr_info": [{"local": "10.0.0.5"}, {"local": "2001:db8::5"}]},
        {"ifname": "eth1", "addr_info": [{"local": "2001:db8::6", "temporary": True}]},
        {"ifname": "docker0", "addr_info": [{"local": "172.17.0.1"}]},
        {"ifname": "br-0123", "addr_info": [{"local": "172.18.0.1"}]},
        {"ifname": "hubwright0", "addr_info": [{"local": "172.30.0.1"}]},
        {"addr_info": []},
    ]
    assert keep.parse_addresses(links) == {"127.0.0.1", "::1", "10.0.0.5", "2001:db8::5"}


def test_what_certbot_says_without_its_words_about_itself() -> None:
    said = """certbot: Saving debug log to /x
Requesting a certificate for hub.example.org

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported:
  Domain: hub.example.org
  Detail: connection refused

Ask for help or search for solutions at https://community.letsencrypt.org."""
    gist = keep.gist(said)
    assert gist.startswith("Certbot failed to authenticate")
    assert gist.endswith("Detail: connection refused")


@pytest.mark.parametrize(
    ("there", "able", "says", "change"),
    [
        (False, True, "", "make the certificate"),
        (True, True, "", None),
        (True, True, "it has expired", "again: it has expired"),
        (True, False, "", "check the certificate"),
    ],
)
def test_a_kept_certificate(host: Host, there: bool, able: bool, says: str, change: str | None) -> None:
    path, code = host.path("/etc/tls.pem"), host.path("/opt/keep.py")
    for wanted, name in ((there, path), (able, code)):
        if wanted:
            Path(name).write_text("x")
    host.script("/usr/bin/python3", code, "check", answer=says)
    found = KeptCertificate(path, code, ("self-signed",)).check(FakeMachine(host))
    assert (found is None) if change is None else (found is not None and change in found.summary)
    assert found is None or found.unknown is (there and not able)


# --- ports and names ------------------------------------------------------------------------------

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0
   1: 0100007F:0050 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0
"""


@pytest.mark.parametrize(("port", "inodes"), [(80, {"4711"}), (8001, {"4713"}), (443, set())])
def test_sockets_that_listen(port: int, inodes: set[str]) -> None:
    assert parse_sockets(TABLE, port, listening=True) == inodes


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/apache2.service\n", "apache2"),
        ("12:cpu:/\n1:name=systemd:/system.slice/jupyterhub-proxy.service\n0::/\n", "jupyterhub-proxy"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("", ""),
    ],
)
def test_the_unit_of_a_process(text: str, unit: str) -> None:
    assert parse_unit(text) == unit


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A function that lets a program of a unit listen on port 80."""

    def hold(program: str, unit: str) -> None:
        monkeypatch.setattr(ports, "find_holder", lambda *_: Holder(program, 7, unit))

    return hold


def test_an_unused_port_is_free(host: Host) -> None:
    assert FreePort(80, "hubwright-redirect").check(FakeMachine(host)) is None


def test_a_port_that_its_own_unit_has_is_fine(host: Host, held: Callable[[str, str], None]) -> None:
    held("python3", "hubwright-redirect")
    assert FreePort(80, "hubwright-redirect").check(FakeMachine(host)) is None


def test_a_unit_of_ours_gives_a_port_up(host: Host, held: Callable[[str, str], None]) -> None:
    held("node", "jupyterhub-proxy")
    port, machine = FreePort(80, "hubwright-redirect", ours=("jupyterhub-proxy",)), FakeMachine(host)
    host.script("systemctl", "stop", "jupyterhub-proxy.service", answer="")
    change = port.check(machine)
    assert change is not None
    assert "stop jupyterhub-proxy, which gives up port 80" in change.summary
    port.apply(machine)
    assert host.ran("systemctl", "stop", "jupyterhub-proxy.service")


@pytest.mark.parametrize(
    ("unit", "words"), [("apache2", "apache2 (pid 7) of apache2.service"), ("", "apache2 (pid 7)")]
)
def test_a_port_of_another_program_is_a_problem(
    host: Host, held: Callable[[str, str], None], unit: str, words: str
) -> None:
    held("apache2", unit)
    with pytest.raises(Problem) as caught:
        FreePort(80, "hubwright-redirect").check(FakeMachine(host))
    assert caught.value.what == f"port 80 is taken by {words}"
    assert "[tls] redirect_port" in caught.value.hint
    assert host.commands == []


def test_a_name_that_does_not_resolve_is_a_problem(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(_: str) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(names, "look_up", look_up)
    with pytest.raises(Problem, match=r"hub\.example\.org does not resolve \(Name or service not known\)"):
        ResolvableName("hub.example.org", "a certificate").check(FakeMachine(host))


# --- vhosts ---------------------------------------------------------------------------------------

BEHIND = "[hub]\ndomain = 'hub.example.org'\n[tls]\nmode = 'behind-proxy'\n"


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("listen", "target"),
    [("", "127.0.0.1:8000"), ("listen = '::1'", "[::1]:8000"), ("listen = '0.0.0.0'", "127.0.0.1:8000")],
)
def test_a_vhost_leads_to_the_hub(
    hub: Callable[..., Settings], server: str, listen: str, target: str
) -> None:
    text = vhost(hub(BEHIND + listen), server)
    assert f"http://{target}" in text
    assert "hub.example.org" in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", 'tls.mode: is "self-signed"'), ("[tls]\nmode = 'behind-proxy'", "hub.domain: is missing")],
)
def test_no_vhost_without_a_web_server_in_front(hub: Callable[..., Settings], text: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        vhost(hub(text), "nginx")
    assert reason in str(caught.value)
    assert caught.value.hint
