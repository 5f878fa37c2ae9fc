"""Every mode of [tls], one after the other, with a real visit in each."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.hosts.containers import ANY_CERTIFICATE, Host
from tests.support.operators import Operator
from tests.support.pki import Issued, authority
from tests.support.visitor import Visitor, visit

HERE = "127.0.0.1"  # the hub's name for visitors of the tests: it leads to the forwarded port
NAME = "hub.example.test"
FORWARDED = 443  # the machine's port that the forwarded one leads to
FILES = "/etc/jupyterhub/tls"
PROXY = "jupyterhub-proxy"
STRANGER = "192.0.2.1"  # an address for documentation, which no machine has
HOSTS_KEPT = 6  # seconds for which a program in Go remembers /etc/hosts
NOTICED = 30  # seconds until the proxy has read a new certificate
LOG_TIMEOUT = 60  # seconds until a visit is in the hub's log

INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends"
PURGE = "DEBIAN_FRONTEND=noninteractive apt-get purge -qy --autoremove"

# An operator's web server: the distribution's, with the vhost that Hubwright prints.
SERVERS = {
    "nginx": (
        "nginx-light",
        """
        rm -f /etc/nginx/sites-enabled/default
        cp /root/vhost /etc/nginx/sites-enabled/hub
        systemctl restart nginx
        """,
    ),
    "apache": (
        "apache2",
        """
        a2dissite -q 000-default
        cp /root/vhost /etc/apache2/sites-available/hub.conf
        a2enmod -q ssl proxy proxy_http proxy_wstunnel
        a2ensite -q hub
        systemctl restart apache2
        """,
    ),
}


def served(host: Host) -> x509.Certificate:
    """The certificate that a visitor gets."""
    with (
        socket.create_connection((HERE, host.port), timeout=10) as connection,
        ANY_CERTIFICATE.wrap_socket(connection, server_hostname=NAME) as encrypted,
    ):
        found = encrypted.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found)


def wait_for_certificate(host: Host, number: int) -> None:
    end = time.monotonic() + NOTICED
    while served(host).serial_number != number:
        assert time.monotonic() < end, "the front door still shows another certificate"
        time.sleep(0.2)


def kept(host: Host) -> tuple[str, int]:
    """The file with the hub's certificate on the machine, and its serial number."""
    path = host.run(f"ls {FILES}/*.pem").strip()
    return path, x509.load_pem_x509_certificates(host.run(f"cat {path}").encode())[0].serial_number


def put(host: Host, path: str, text: str) -> None:
    host.run(f"cat >{path}.new <<'END'\n{text}END\nchown --reference={Path(path).parent} {path}.new\n"
             f"chmod 0640 {path}.new; mv {path}.new {path}")  # fmt: skip


def works(url: str, ca: Path | None = None) -> None:
    """Make a complete visit, kernel and websocket included, that never leaves the visitors' address."""
    seen = asyncio.run(visit(url, "print(6 * 7)", str(ca) if ca else None))
    assert seen["printed"] == "42\n"
    assert seen["server"].startswith(url)


def renews_without_dropping_anyone(host: Host, old: Issued) -> None:
    """Put an old certificate in place of the hub's; the timer's unit renews it under an open kernel."""

    async def scenario() -> None:
        visitor = Visitor(f"https://{HERE}:{host.port}/")
        await visitor.arrive()
        kernel = await visitor.open_kernel()
        await kernel.run("answer = 42")
        started = {unit: host.start_time(unit) for unit in (PROXY, "jupyterhub")}
        path, _ = kept(host)
        put(host, path, old.key() + old.pem)
        wait_for_certificate(host, old.number)
        host.run("systemctl start hubwright-certificate.service")
        _, number = kept(host)
        assert number != old.number
        wait_for_certificate(host, number)
        assert await kernel.run("print(answer)") == "42\n"
        assert {unit: host.start_time(unit) for unit in started} == started

    asyncio.run(scenario())


def address_that_the_hub_sees(host: Host, url: str, ca: Path | None = None) -> str:
    """The hub's record of the address of a visitor who claims another one."""
    path = f"hub/verify-{secrets.token_hex(4)}"
    claims = {"X-Forwarded-For": STRANGER, "X-Real-Ip": STRANGER, "Forwarded": f"for={STRANGER}"}
    visitor = Visitor(url, ca=str(ca) if ca else None)
    asyncio.run(visitor.request("GET", f"{url}{path}", headers=claims))
    end = time.monotonic() + LOG_TIMEOUT
    while time.monotonic() < end:
        log = host.run("journalctl --unit=jupyterhub --since=-1hour --output=cat --no-pager")
        if found := re.search(rf"{path}\S* \(\S*@([0-9a-f.:]+)\)", log):
            return found[1]
        time.sleep(0.2)
    raise AssertionError(f"the hub's log says nothing of {path}")


@pytest.fixture(scope="module")
def gateway(machine: Host) -> str:
    """The address from which the machine sees visitors of the tests."""
    return machine.run("ip route show default | cut -d' ' -f3").strip()


@pytest.fixture(scope="module")
def ca() -> Issued:
    return authority()


@pytest.fixture(scope="module")
def ca_file(operator: Operator, ca: Issued) -> Path:
    path = operator.folder / "ca.pem"
    path.write_text(ca.pem)
    return path


def test_self_signed_names_the_machine_and_renews(machine: Host, gateway: str, tmp_path: Path) -> None:
    trusted = tmp_path / "hub.pem"
    trusted.write_text(machine.run(f"openssl x509 -in {kept(machine)[0]}"))
    works(f"https://{HERE}:{machine.port}/", trusted)
    assert address_that_the_hub_sees(machine, f"https://{HERE}:{machine.port}/") == gateway
    old = authority("old").issue(HERE, "localhost", begins=-364, ends=1)
    renews_without_dropping_anyone(machine, old)


def test_new_domain_makes_a_new_certificate_and_is_where_port_80_leads(
    operator: Operator, machine: Host
) -> None:
    before = kept(machine)[1]
    with operator.changed(hub={"domain": NAME}):
        operator.hubwright("apply")
        wait_for_certificate(machine, kept(machine)[1])
        names = served(machine).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert NAME in names.get_values_for_type(x509.DNSName)
        assert kept(machine)[1] != before
        assert operator.hubwright("apply").unchanged
        ask = r"printf 'GET /a?b=c HTTP/1.0\r\nHost: other\r\n\r\n' >&3; cat <&3"
        answer = machine.run(f"exec 3<>/dev/tcp/127.0.0.1/80; {ask}")
        assert f"Location: https://{NAME}/a?b=c" in answer
    operator.hubwright("apply")


@contextmanager
def files(operator: Operator, certificate: str, key: str, domain: str = HERE) -> Iterator[None]:
    """Settings with tls.mode files and these files."""
    (operator.folder / "hub.crt").write_text(certificate)
    (operator.folder / "hub.key").write_text(key)
    tls = {"mode": "files", "certificate": "hub.crt", "key": "hub.key"}
    with operator.changed(hub={"domain": domain}, tls=tls):
        yield


@pytest.mark.usefixtures("machine")
def test_files_that_would_fail_are_refused(operator: Operator, ca: Issued) -> None:
    good, another = ca.issue(HERE), ca.issue(HERE)
    for certificate, key, words in (
        (good.pem, another.key(), ("tls.key", "is not the key of")),
        (good.pem, good.key(b"secret"), ("tls.key", "passphrase")),
    ):
        with files(operator, certificate, key):
            operator.hubwright("plan", code=2).says(*words)
    expired = ca.issue(HERE, ends=-0.5)
    with files(operator, expired.pem, expired.key()):
        operator.hubwright("apply", code=2).says("tls.certificate", "expired on")
    with files(operator, good.pem, good.key(), domain=NAME):
        operator.hubwright("apply", code=2).says("tls.certificate", f"names {HERE}, not {NAME}")
    assert operator.hubwright("apply").unchanged


def test_files_are_served_and_replaced(operator: Operator, machine: Host, ca: Issued, ca_file: Path) -> None:
    first, second = ca.issue(HERE), ca.issue(HERE)
    with files(operator, first.pem + ca.pem, first.key()):
        done = operator.hubwright("plan", code=3)
        assert first.key().splitlines()[1] not in done.out + done.err
        operator.hubwright("apply")
        wait_for_certificate(machine, first.number)
        works(f"https://{HERE}:{machine.port}/", ca_file)
        assert machine.run("systemctl list-timers --all 'hubwright-certificate*' --no-legend") == ""
        assert operator.hubwright("apply").unchanged
    started = machine.start_time(PROXY)
    with files(operator, second.pem, second.key()):
        operator.hubwright("apply")
        wait_for_certificate(machine, second.number)
        assert machine.start_time(PROXY) == started
    records = machine.run("cat /var/lib/hubwright/applied.json /var/lib/hubwright/journal.jsonl")
    assert second.key().splitlines()[1] not in records


@pytest.mark.parametrize("server", ["nginx", pytest.param("apache", marks=pytest.mark.full)])
def test_behind_a_web_server(
    operator: Operator, machine: Host, ca: Issued, ca_file: Path, gateway: str, server: str
) -> None:
    package, setup = SERVERS[server]
    with operator.changed(hub={"domain": HERE}, tls={"mode": "behind-proxy"}):
        operator.hubwright("apply")
        assert operator.hubwright("apply").unchanged
        issued = ca.issue(HERE)
        live = f"/etc/letsencrypt/live/{HERE}"
        machine.run(f"mkdir -p {live}")
        put(machine, f"{live}/fullchain.pem", issued.pem)
        put(machine, f"{live}/privkey.pem", issued.key())
        put(machine, "/root/vhost", operator.hubwright("config", "vhost", server).out)
        try:
            machine.run(f"{INSTALL} {package} >&2\n{setup}")
            wait_for_certificate(machine, issued.number)
            url = f"https://{HERE}:{machine.port}/"
            works(url, ca_file)
            assert address_that_the_hub_sees(machine, url, ca_file) == gateway
            if server == "nginx":
                checks = "test_visit or test_services or test_tls or operator or ticket"
                operator.hubwright("verify", "-k", checks)
            address = machine.run("hostname --all-ip-addresses").split()[0]
            assert machine.succeeds("exec 3<>/dev/tcp/127.0.0.1/8000")
            assert not machine.succeeds(f"exec 3<>/dev/tcp/{address}/8000"), (
                "only the web server reaches the hub"
            )
        finally:
            machine.run(f"{PURGE} {package}\\* >&2; rm -r /etc/letsencrypt /root/vhost")


def test_taken_ports_are_named_by_a_plan(operator: Operator, machine: Host) -> None:
    """All is removed first, so that another program can take the ports of https."""
    with operator.changed(hub={"port": 8000}, tls={"mode": "off"}):
        operator.hubwright("apply")
        assert operator.hubwright("apply").unchanged
    for port in (80, 443):
        machine.run(f"systemd-run --quiet --unit=squatter python3 -m http.server {port}")
        try:
            machine.run(f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done")
            done = operator.hubwright("plan", code=1)
            done.says(f"port {port} is taken by python3 (pid", "squatter.service", "[tls] redirect_port")
        finally:
            machine.run("systemctl stop squatter")


def test_off_is_plain_http_on_the_port_of_the_redirect(operator: Operator, machine: Host) -> None:
    operator.hubwright("apply")
    with operator.changed(hub={"port": FORWARDED}, tls={"mode": "off"}):
        operator.hubwright("apply")
        works(f"http://{HERE}:{machine.port}/")
        assert not machine.succeeds(f"ls {FILES}")
    with operator.changed(tls={"mode": "off"}):
        assert json.loads(operator.hubwright("config", "show", "--json").out)["hub"]["port"] == 80
        operator.hubwright("apply")
        assert machine.succeeds("exec 3<>/dev/tcp/127.0.0.1/80")
        assert operator.hubwright("apply").unchanged
    operator.hubwright("apply")
    works(f"https://{HERE}:{machine.port}/")
    assert operator.hubwright("apply").unchanged


def forget_name(machine: Host) -> None:
    """Remove the name from /etc/hosts in place: in a container the file is a mount."""
    machine.run(f"grep -v {NAME} /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts; rm /tmp/hosts")


@pytest.fixture
def acme(machine: Host, ca: Issued) -> Iterator[dict[str, object]]:
    """An ACME server (Pebble, Let's Encrypt's own for tests) on the machine, and the [tls] that names it.

    It really validates: it connects to port 80 of the name, as the machine's own /etc/hosts resolves it.
    """
    folder = "/root/acme"
    listens = {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000"}
    certificate = {"certificate": f"{folder}/own.pem", "privateKey": f"{folder}/own.key"}
    config = {"pebble": {**listens, **certificate, "httpPort": 80, "tlsPort": 443, "ocspResponderURL": ""}}
    own = ca.issue("127.0.0.1", "localhost")
    machine.run(f"{INSTALL} pebble >&2; mkdir -p {folder}")
    for name, text in (("own.pem", own.pem), ("own.key", own.key()), ("config", json.dumps(config) + "\n")):
        put(machine, f"{folder}/{name}", text)
    machine.run(
        f"systemd-run --quiet --unit=acme --setenv=PEBBLE_VA_NOSLEEP=1 pebble -config {folder}/config"
    )
    yield {
        "mode": "letsencrypt",
        "email": "operator@example.test",
        "directory": "https://127.0.0.1:14000/dir",
        "directory_ca": "ca.pem",
    }
    machine.run(f"systemctl stop acme; {PURGE} pebble >&2; rm -r {folder}")
    forget_name(machine)


@pytest.mark.usefixtures("ca_file")
def test_certificate_from_an_acme_server(
    operator: Operator, machine: Host, gateway: str, acme: dict[str, object]
) -> None:
    with operator.changed(hub={"domain": NAME}, tls=acme):
        operator.hubwright("apply", code=1).says(f"{NAME} does not resolve", "A or AAAA record")
        works(f"https://{HERE}:{machine.port}/")  # as before

        machine.run(f"echo {gateway} {NAME} >>/etc/hosts")  # leads elsewhere
        operator.hubwright("apply", code=1).says(
            f"no certificate for {NAME} from https://127.0.0.1:14000/dir"
        )
        works(f"https://{HERE}:{machine.port}/")

        forget_name(machine)
        machine.run(f"echo 127.0.0.1 {NAME} >>/etc/hosts")
        time.sleep(HOSTS_KEPT)
        operator.hubwright("apply")
        wait_for_certificate(machine, kept(machine)[1])
        shown = served(machine)
        assert "Pebble" in shown.issuer.rfc4514_string()
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [NAME]
        works(f"https://{HERE}:{machine.port}/")
        assert operator.hubwright("apply").unchanged

        old = authority("old").issue(NAME, begins=-80, ends=10)
        renews_without_dropping_anyone(machine, old)
        assert "Pebble" in served(machine).issuer.rfc4514_string()
        assert operator.hubwright("apply").unchanged
    operator.hubwright("apply")
    assert not machine.succeeds("ls /var/lib/hubwright-acme/*/config"), "certbot's files are gone"
    assert not machine.succeeds("command -v certbot")
    assert operator.hubwright("apply").unchanged
