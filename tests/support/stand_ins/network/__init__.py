"""A network like those of institutions: a proxy with a password, a mirror of Docker Hub, mirrors of packages.

The first two are containers, with Debian's tinyproxy and docker-registry. The mirrors are a web server of the
tests' own that passes on the real archives' answers. An authority that no system trusts issues all
certificates. Hosts reach all of it without a way out of their own.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.hosts.containers import Host, docker, free_port
from tests.support.pki import Issued, authority
from tests.support.stand_ins.network.mirrors import Shelves, shelves

IMAGE = "hubwright/e2e-network:latest"
DOCKERFILE = """\
FROM {base}
RUN apt-get update && apt-get install --yes --no-install-recommends tinyproxy-bin docker-registry
ENTRYPOINT []
"""
USER, PASSWORD = "campus", "tell.nobody-of-it"  # of characters that tinyproxy can take
TINYPROXY = f"""\
Port 3128
Listen 0.0.0.0
LogLevel Connect
BasicAuth {USER} {PASSWORD}
"""
REGISTRY = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ":5000", tls: {certificate: /tls/certificate.pem, key: /tls/key.pem}}
"""
PORT_TIMEOUT = 20  # seconds


@dataclass(frozen=True)
class Network:
    """The network. `proxy` and `registry`: their addresses for hosts. `ca`: the file of the authority."""

    folder: Path
    proxy: str
    registry: str
    mirrors: Shelves
    ca: Path
    name: str
    push_port: int

    def asked_of_proxy(self) -> list[str]:
        """Methods and targets of the proxy's requests so far, as `CONNECT pypi.org:443`."""
        return re.findall(r"Request \(file descriptor \d+\): (\S+ \S+)", self._log("proxy"))

    def asked_of_registry(self) -> list[str]:
        return re.findall(r'"GET (/v2/\S+) HTTP', self._log("registry"))

    def publish(self, image: str, name: str) -> str:
        """Push an image of this computer to the registry. Returns the reference that hosts pull."""
        there = f"127.0.0.1:{self.push_port}/{name}"
        docker("tag", image, there)
        try:
            docker("push", "--quiet", there)
            [pushed] = [
                digest
                for digest in json.loads(docker("image", "inspect", there))[0]["RepoDigests"]
                if digest.startswith(f"{there.rpartition(':')[0]}@")
            ]
        finally:
            docker("image", "rm", "--no-prune", there)
        return f"{name.rpartition(':')[0]}@{pushed.rpartition('@')[2]}"

    def _log(self, part: str) -> str:
        done = subprocess.run(
            ["docker", "logs", f"{self.name}-{part}"], capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr


@contextmanager
def network(host: Host, folder: Path, upstream: dict[str, str]) -> Iterator[Network]:
    """The network, started where `host` reaches it. `upstream`: the mirrors' sources, see mirrors.py."""
    image = json.loads(docker("container", "inspect", host.container))[0]["Config"]["Image"]
    docker("build", "--tag", IMAGE, "-", stdin=DOCKERFILE.format(base=image))
    trusted, port, name = authority("Test network"), free_port(), f"{host.container}-network"
    gateway = host.run("ip -4 route show default").split()[2]
    (folder / "ca.pem").write_text(trusted.pem)
    with ExitStack() as stack:
        stack.callback(_remove, f"{name}-proxy", f"{name}-registry")
        proxy = _container(f"{name}-proxy")
        _put(f"{name}-proxy", "/tinyproxy.conf", TINYPROXY)
        _start(f"{name}-proxy", "tinyproxy -d -c /tinyproxy.conf", 3128)
        registry = _container(f"{name}-registry", "--publish", f"127.0.0.1:{port}:5000")
        _certify(f"{name}-registry", trusted.issue(registry, "127.0.0.1"))
        _put(f"{name}-registry", "/registry.yml", REGISTRY)
        _start(f"{name}-registry", "docker-registry serve /registry.yml", 5000)
        opened = stack.enter_context(shelves(gateway, trusted.issue(gateway), folder, upstream))
        yield Network(
            folder,
            f"http://{proxy}:3128",
            f"https://{registry}:5000",
            opened,
            folder / "ca.pem",
            name,
            port,
        )


def _container(name: str, *options: str) -> str:
    """Start a container that waits for `_start`, whose program writes its log. Returns its address."""
    wait = "until [ -e /run/command ]; do sleep 0.1; done; exec sh /run/command"
    docker("run", "--detach", "--name", name, *options, IMAGE, "sh", "-c", wait)
    found: str = json.loads(docker("container", "inspect", name))[0]["NetworkSettings"]["IPAddress"]
    return found


def _put(container: str, path: str, text: str) -> None:
    script = f"mkdir -p $(dirname {path}) && cat >{path}"
    docker("exec", "--interactive", container, "sh", "-c", script, stdin=text)


def _start(container: str, command: str, port: int) -> None:
    """Start the container's program, and wait until its port answers."""
    _put(container, "/run/command", f"exec {command} 2>&1\n")
    end, probe = time.monotonic() + PORT_TIMEOUT, f"exec 3<>/dev/tcp/127.0.0.1/{port}"
    while subprocess.run(["docker", "exec", container, "bash", "-c", probe], capture_output=True).returncode:
        assert time.monotonic() < end, docker("logs", container)
        time.sleep(0.2)


def _certify(container: str, issued: Issued) -> None:
    _put(container, "/tls/certificate.pem", issued.pem)
    _put(container, "/tls/key.pem", issued.key())


def _remove(*containers: str) -> None:
    subprocess.run(["docker", "rm", "--force", "--volumes", *containers], capture_output=True, check=False)
