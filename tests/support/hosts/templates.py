"""A deployed host, kept as a template for other hosts: a copy takes seconds, a deploy a minute.

A template has two parts in this computer's Docker: an image of the host's root file system, and a volume with
its /var/lib, which holds the inner engine's images.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.hosts.containers import Host, bare_host, docker, host_image
from tests.support.operators import Operator

# Settings without the parts that most tests do not need, to be quick.
QUICK: dict[str, dict[str, Any]] = {"monitoring": {"graphite": False}, "python": {"provider": "system"}}


@dataclass(frozen=True)
class Template:
    """A host that was deployed with QUICK and switched off. `name` is that of its image and its volume."""

    operator: Operator
    name: str

    @contextmanager
    def host(self, name: str) -> Iterator[Host]:
        """A copy whose hub answers. Removed when the block ends."""
        volume = f"{name}-var-lib"
        docker("volume", "create", volume)
        try:
            _copy(host_image(self.operator), self.name, volume)
            options = ("--volume", f"{volume}:/var/lib")
            with bare_host(self.operator, name, options, image=self.name, own_state=False) as host:
                host.wait_for_hub()
                yield host
        finally:
            docker("volume", "rm", "--force", volume)


@contextmanager
def template(operator: Operator) -> Iterator[Template]:
    """A template of a host that is deployed for it. Removed when the block ends."""
    name = f"{operator.hub['vm']['name']}-template"
    docker("volume", "create", name)
    try:
        options = ("--volume", f"{name}:/var/lib")
        with bare_host(operator, f"{name}-host", options, own_state=False) as host:
            there = ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
            with operator.changed(**QUICK):
                operator.hubwright("apply", *there)
            host.wait_for_hub()
            docker("stop", "--time", "60", host.container)  # an orderly stop, so that databases are closed
            docker("commit", host.container, name)
        yield Template(operator, name)
    finally:
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)
        docker("volume", "rm", "--force", name)


def _copy(image: str, source: str, target: str) -> None:
    """Copy all of a volume, with whiteouts and trusted attributes, which overlay file systems need."""
    mounts = ["--volume", f"{source}:/from:ro", "--volume", f"{target}:/to"]
    copy = ["--entrypoint", "cp", image, "--archive", "/from/.", "/to/"]
    docker("run", "--rm", "--cap-add", "SYS_ADMIN", *mounts, *copy)
