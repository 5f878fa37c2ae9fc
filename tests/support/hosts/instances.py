"""Cloud instances of the tests: host containers with the distribution's cloud-init, given user-data.

The data source is NoCloud's seed folder, so nothing is asked of the network. No one logs in to them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.hosts.containers import Host, bare_host, docker
from tests.support.operators import Operator

SEED = "/var/lib/cloud/seed/nocloud"
# Such a container leaves its network, its name and /etc/hosts to Docker, and has no locales.
CONTAINER = """\
network: {config: disabled}
preserve_hostname: true
manage_etc_hosts: false
locale: false
datasource_list: [NoCloud, None]
"""


def instance_image(operator: Operator) -> str:
    """The image of bare hosts with cloud-init in it."""
    host = json.loads(operator.hubwright("config", "vm", "--json").out)["host_image"]
    image = f"hubwright/instance:{host.rpartition(':')[2]}"
    if not docker("image", "ls", "--quiet", image).strip():
        install = "apt-get install --yes --no-install-recommends cloud-init"
        dockerfile = (
            f"FROM {host}\n"
            f"RUN apt-get update && DEBIAN_FRONTEND=noninteractive {install}"
            " && apt-get clean && rm -rf /var/lib/apt/lists/*\n"
        )
        docker("build", "--tag", image, "-", stdin=dockerfile)
    return image


@contextmanager
def instance(operator: Operator, name: str, user_data: Path, ssh_port: int) -> Iterator[Host]:
    """A host that boots with this user-data, and is removed when the block ends."""
    seed = {
        f"{SEED}/user-data": user_data.read_bytes(),
        f"{SEED}/meta-data": f"instance-id: {name}\nlocal-hostname: {name}\n".encode(),
        "/etc/cloud/cloud.cfg.d/99-container.cfg": CONTAINER.encode(),
    }
    with bare_host(operator, name, image=instance_image(operator), files=seed, ssh_port=ssh_port) as host:
        yield host


@contextmanager
def published(operator: Operator, folder: Path) -> Iterator[str]:
    """The URL of a folder, for containers on this computer."""
    route = ["--entrypoint", "ip", instance_image(operator), "-4", "route", "show", "default"]
    gateway = docker("run", "--rm", *route).split()[2]
    with served(folder, gateway) as port:
        yield f"http://{gateway}:{port}"


@contextmanager
def served(folder: Path, address: str) -> Iterator[int]:
    """A web server with a folder on one of this computer's addresses; its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    serve: Any = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer((address, 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
