"""Docker's volumes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from ..base import Change, Machine, Resource
from .engine import ask, unless_unknown


@dataclass(frozen=True)
class DockerVolume(Resource):
    """A named volume. Its removal deletes its data."""

    name: str

    preparatory = True

    @property
    def id(self) -> str:
        return f"docker-volume:{self.name}"

    def check(self, machine: Machine) -> Change | None:
        found = unless_unknown(lambda: volumes(machine))
        if found is None:
            return Change(f"create the Docker volume {self.name}", unknown=True)
        return None if self.name in found else Change(f"create the Docker volume {self.name}")

    def apply(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        machine.run(["docker", "volume", "create", self.name])
        machine.invalidate("docker-volumes")

    def remove(self, machine: Machine) -> str | None:
        if not machine.claims(self).get("created") or not shutil.which("docker"):
            return None
        if self.name not in volumes(machine):
            return None
        users = machine.run(["docker", "ps", "--all", "--quiet", "--filter", f"volume={self.name}"]).split()
        if users:
            return "a container still uses it"
        machine.run(["docker", "volume", "rm", self.name])
        machine.invalidate("docker-volumes")
        return None

    def generalize(self, machine: Machine) -> str | None:
        if not shutil.which("docker") or self.name not in volumes(machine):
            return None
        machine.run(["docker", "volume", "rm", self.name])
        machine.invalidate("docker-volumes")
        return f"take away the Docker volume {self.name}"


def volumes(machine: Machine) -> set[str]:
    """Names of all volumes on the host."""
    if not shutil.which("docker"):
        return set()
    command = ["docker", "volume", "ls", "--quiet"]
    return machine.cached("docker-volumes", lambda: set(ask(machine, command).split()))
