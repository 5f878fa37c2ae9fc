"""A host without a way out downloads through a proxy, then from mirrors; in the end nothing is left of it.

The network is a stand-in, see stand_ins/network; programs, packages and the archives behind it are real.
The tests tell one story and stand in its order.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import tomli_w

from provision import images
from provision.images import base_image_tag, ensure_archive
from provision.report.reporter import Reporter
from provision.settings import load, read_toml
from tests.support.hosts.containers import Host, bare_host
from tests.support.operators import Operator
from tests.support.stand_ins.network import PASSWORD, USER, Network, network
from tests.support.visitor import visit

SMALL = """\
ARG BASE
FROM ${BASE}
ARG APT=""
COPY jupyterhub-singleuser ca* /tmp/build/
RUN cd /tmp/build && { [ -z "$APT" ] || sh ./apt-mirrors.sh $APT; } && apt-get update \\
 && apt-get install --yes --no-install-recommends tini \\
 && install --mode=0755 jupyterhub-singleuser /usr/local/bin
USER 1000
"""
# Just enough of a server to pass its trial.
SERVER = """\
#!/usr/bin/python3
from http.server import BaseHTTPRequestHandler, HTTPServer

class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.end_headers()

HTTPServer(("", 8888), Server).serve_forever()
"""
APT = "find /etc/apt -type f | sort | xargs sha256sum"
HOLDERS = ("/etc/apt/auth.conf.d/hubwright.conf", "/etc/jupyterhub/downloads.env")
# Note command lines on the host that hold a password. Its own does not, as the patterns are in a file.
WATCH = """\
setsid bash -c 'while [ -e /run/passwords ]; do
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep --text --fixed-strings --file=/run/passwords
    sleep 0.05
done' >>/run/seen 2>/dev/null </dev/null &
"""
INSTALL = """\
import subprocess, sys
command = [sys.executable, "-m", "pip", "install", "--retries=0", "colorama"]
done = subprocess.run(command, capture_output=True, text=True)
print(done.returncode, done.stderr[-1500:])
subprocess.run([sys.executable, "-c", "import colorama; open('/tmp/where', 'w').write(colorama.__file__)"])
print(open("/tmp/where").read())
"""


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-networks") as host:
        yield host


@pytest.fixture(scope="module")
def around(operator: Operator, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The network, with the host cut off from all beyond it."""
    builder = load(operator.config).builder
    upstream = {
        "debian": builder.apt or "http://deb.debian.org/debian",
        "debian-security": builder.security or "http://deb.debian.org/debian-security",
        "pypi": "https://pypi.org",
        "files": "https://files.pythonhosted.org",
        "npm": "https://registry.npmjs.org",
    }
    with network(host, tmp_path_factory.mktemp("network"), upstream) as opened:
        host.run("ip route del default")
        assert not host.succeeds("apt-get update -o APT::Update::Error-Mode=any -o Acquire::Retries=0")
        host.run("rm -rf /var/lib/apt/lists/*")
        yield opened


@pytest.fixture(scope="module")
def base(operator: Operator, around: Network) -> str:
    """The base of images as hosts pull it. Only the mirror of Docker Hub has it."""
    return around.publish(base_image_tag(load(operator.config)), "hubwright-e2e/base:1")


@pytest.fixture(scope="module")
def small(base: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Sections of settings with an image that a host builds quickly."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text(SMALL)
    (folder / "jupyterhub-singleuser").write_text(SERVER)
    return {"image": {"build": str(folder), "build_on": "host"}, "builder": {"image": base}}


@pytest.fixture(scope="module")
def notebook(operator: Operator) -> dict[str, Any]:
    """Sections of settings with the usual image, which has nothing for this network."""
    settings = load(operator.config)
    return {
        "image": {"archive": str(ensure_archive(settings, images.notebook(settings), Reporter(quiet=True)))}
    }


@pytest.fixture(scope="module")
def found(host: Host) -> str:
    """The configuration of apt before all tests."""
    return host.run(APT)


@contextmanager
def described(
    operator: Operator, image: Mapping[str, Any], mirrors: Mapping[str, Any], **sections: Mapping[str, Any]
) -> Iterator[None]:
    """hub.toml, site.toml and secrets.toml of an operator in this network."""
    site, secrets = operator.folder / "site.toml", operator.folder / "secrets.toml"
    before = site.read_text(encoding="utf-8")
    known = read_toml(site).get("downloads", {}).get("ca_certificates", [])
    theirs = {**mirrors, "ca_certificates": [*known, *mirrors["ca_certificates"]]}
    if credentials := theirs.pop("proxy_credentials", ""):
        secrets.write_text(tomli_w.dumps({"downloads": {"proxy_credentials": credentials}}))
        secrets.chmod(0o600)
    site.write_text(tomli_w.dumps({"downloads": theirs, **image}))
    hub: dict[str, Mapping[str, Any]] = {
        "python": {"provider": "system"},
        "monitoring": {"graphite": False},
        **sections,
    }
    try:
        with operator.changed(**hub):
            yield
    finally:
        site.write_text(before, encoding="utf-8")
        secrets.unlink(missing_ok=True)


def through(around: Network) -> dict[str, Any]:
    """[downloads] for a network with a proxy, and no mirror but that of Docker Hub."""
    return {
        "http_proxy": around.proxy,
        "proxy_credentials": f"{USER}:{PASSWORD}",
        "no_proxy": [urlsplit(around.registry).hostname],
        "registries": [around.registry],
        "ca_certificates": [str(around.ca)],
    }


def beside(around: Network) -> dict[str, Any]:
    """[downloads] for a network with mirrors of all, and no proxy."""
    url = around.mirrors.url
    return {
        "apt": {name: f"{url}/{name}" for name in ("debian", "debian-security")},
        "pypi": f"{url}/pypi/simple",
        "npm": f"{url}/npm",
        "registries": [around.registry],
        "ca_certificates": [str(around.ca)],
        "notebooks": True,
    }


def engine(host: Host) -> str:
    """The environment of dockerd."""
    return host.run('tr "\\0" "\\n" </proc/$(systemctl show docker --property=MainPID --value)/environ')


def test_everything_comes_through_the_proxy(
    operator: Operator,
    host: Host,
    there: tuple[str, ...],
    around: Network,
    small: dict[str, Any],
    found: str,  # noqa: ARG001 - read before the test
) -> None:
    host.run(f"cat >/run/passwords <<'END'\n{PASSWORD}\nEND\n{WATCH}")
    telling = f"python3 -c 'import time; time.sleep(0.3)' {PASSWORD}"
    host.run(f"until [ -s /run/seen ]; do {telling}; done; sleep 0.5; : >/run/seen")
    with described(operator, small, through(around)):
        first = operator.hubwright("-vv", "apply", *there)
        assert operator.hubwright("apply", *there).unchanged
    host.run("rm /run/passwords")
    host.wait_for_hub()

    asked = around.asked_of_proxy()
    assert [line for line in asked if line.startswith("GET") and "/docker.io_" in line]
    assert [line for line in asked if line.startswith("GET") and "/tini_" in line], "the build on the host"
    for name in ("pypi.org", "files.pythonhosted.org", "registry.npmjs.org"):
        assert f"CONNECT {name}:443" in asked
    assert [path for path in around.asked_of_registry() if "/hubwright-e2e/base/" in path]
    own = ("127.0.0.1", "localhost", load(operator.config).network.gateway)
    assert not [line for line in asked if any(name in line for name in own)]

    assert PASSWORD not in f"{first}"


def test_only_root_finds_the_password(host: Host) -> None:
    places = "/etc /opt/hubwright /var/lib/hubwright /var/lib/jupyterhub /var/log /run /tmp /root"
    holders = host.run(
        f"grep --recursive --files-with-matches --fixed-strings -s {PASSWORD} {places} || true"
    )
    assert sorted(holders.split()) == sorted(HOLDERS)
    assert host.run(f"stat --format='%a %U' {' '.join(HOLDERS)}").split() == ["600", "root"] * 2
    assert host.run("cat /run/seen") == "", "in a command line"
    said = host.run(
        "journalctl --no-pager; docker image ls --quiet | sort -u | while read -r image; do"
        ' docker image inspect "$image"; docker history --no-trunc "$image"; done; systemctl show docker'
    )
    assert "Starting docker.service" in said or "hubwright" in said
    assert PASSWORD not in said


def test_the_engine_pulls_through_the_proxy(host: Host, around: Network) -> None:
    assert not host.succeeds("docker pull registry.hubwright.test/nothing:1")
    assert "CONNECT registry.hubwright.test:443" in around.asked_of_proxy()


def test_an_installer_comes_through_the_proxy(
    operator: Operator, there: tuple[str, ...], around: Network, small: dict[str, Any]
) -> None:
    python = {"provider": "miniconda", "installer": "http://conda.hubwright.test/M.sh", "sha256": "0a" * 32}
    with described(operator, small, through(around), python=python):
        done = operator.hubwright("apply", "--only", "python", *there, code=1)
    assert "http://conda.hubwright.test/M.sh cannot be downloaded" in done.err
    assert "GET http://conda.hubwright.test/M.sh" in around.asked_of_proxy()


def test_images_come_from_mirrors(
    operator: Operator, host: Host, there: tuple[str, ...], around: Network, small: dict[str, Any]
) -> None:
    asked = around.asked_of_proxy()
    with described(operator, small, beside(around)):
        operator.hubwright("apply", "--only", "notebook_image", *there)
    assert around.asked_of_proxy() == asked
    assert [path for path in around.mirrors.asked if path.startswith("/debian/pool/main/t/tini/")]
    assert [path for path in around.mirrors.asked if path.startswith("/debian-security/dists/")]
    assert not host.succeeds("ls /etc/apt/apt.conf.d/*hubwright* /etc/apt/auth.conf.d/*hubwright*")
    assert "proxy" not in engine(host).lower()


def test_the_hub_comes_from_mirrors(
    operator: Operator, host: Host, there: tuple[str, ...], around: Network, notebook: dict[str, Any]
) -> None:
    asked = around.asked_of_proxy()
    host.run("rm -r /opt/hubwright/envs /opt/hubwright/installer")  # so that it is all fetched again
    with described(operator, notebook, beside(around)):
        operator.hubwright("apply", *there)
        assert operator.hubwright("apply", *there).unchanged
    host.wait_for_hub()
    assert around.asked_of_proxy() == asked
    for place in ("/pypi/simple/uv/", "/pypi/simple/jupyterhub/", "/files/", "/npm/configurable-http-proxy"):
        assert [path for path in around.mirrors.asked if path.startswith(place)], place


def test_visitors_install_from_the_mirror(host: Host, around: Network) -> None:
    told = asyncio.run(visit(host.url, INSTALL))["printed"]
    assert told.splitlines()[-1].startswith("/home/jovyan/.local/lib/"), told
    assert "/pypi/simple/colorama/" in around.mirrors.asked


def test_nothing_of_it_is_left(operator: Operator, host: Host, there: tuple[str, ...], found: str) -> None:
    assert host.run(APT) != found
    operator.hubwright("apply", "--only", "fence", *there)
    assert operator.hubwright("apply", "--only", "fence", *there).unchanged
    assert host.run(APT) == found
    assert "registry-mirrors" not in json.loads(host.run("cat /etc/docker/daemon.json"))
    assert not host.succeeds("ls /etc/systemd/system/docker.service.d")
    assert not host.succeeds("grep --recursive hubwright-ca- /usr/local/share/ca-certificates")
