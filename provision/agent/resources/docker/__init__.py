"""Docker's networks, images and volumes, through its command line."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from typing import Any

from ..base import Change, CommandFailed, Machine, Problem, Resource

# Docker's predefined build arguments: no part of an image, nor of its history.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class DockerNetwork(Resource):
    """A bridge whose containers reach the host's address on it and the outside, but not each other."""

    name: str
    subnet: str
    gateway: str
    bridge: str

    @property
    def id(self) -> str:
        return f"docker-network:{self.name}"

    def check(self, machine: Machine) -> Change | None:
        found = _unless_unknown(lambda: networks(machine, self.name))
        if found is None:
            return Change(f"create the Docker network {self.name}", unknown=True)
        if self.name not in found:
            return Change(f"create the Docker network {self.name} ({self.subnet})")
        if found[self.name] != self._wanted:
            return Change(f"make the Docker network {self.name} anew ({self.subnet})")
        return None

    def apply(self, machine: Machine) -> None:
        if self.name in networks(machine, self.name):
            self._delete(machine)
        machine.claim(self, created=True)
        try:
            machine.run(
                ["docker", "network", "create", "--driver", "bridge"]
                + ["--subnet", self.subnet, "--gateway", self.gateway]
                + ["--opt", f"com.docker.network.bridge.name={self.bridge}"]
                + ["--opt", "com.docker.network.bridge.enable_icc=false", self.name]
            )
        except CommandFailed as failure:
            if "overlaps" not in failure.output:
                raise
            raise Problem(
                f"the range {self.subnet} is in use on this host: {failure.output.strip()}",
                "choose another one in [network] subnet",
            ) from None
        machine.invalidate("docker-networks")

    def remove(self, machine: Machine) -> str | None:
        if not machine.claims(self).get("created") or not shutil.which("docker"):
            return None
        machine.invalidate("docker-networks")  # an earlier look did not ask for what is no longer wanted
        if self.name in networks(machine, self.name):
            self._delete(machine)
            machine.invalidate("docker-networks")
        return None

    def generalize(self, machine: Machine) -> str | None:
        """Visitors' servers."""
        there = shutil.which("docker") and self.name in networks(machine, self.name)
        return "take away visitors' servers" if there and self._remove_attached(machine) else None

    @property
    def _wanted(self) -> tuple[str, str, str, str]:
        return (self.subnet, self.gateway, self.bridge, "false")

    def _delete(self, machine: Machine) -> None:
        """Notebook servers on it go with it: a container cannot outlive its network."""
        self._remove_attached(machine)
        machine.run(["docker", "network", "rm", self.name])

    def _remove_attached(self, machine: Machine) -> bool:
        attached = machine.run(
            ["docker", "ps", "--all", "--quiet", "--filter", f"network={self.name}"]
        ).split()
        if attached:
            machine.run(["docker", "rm", "--force", "--volumes", *attached])
        return bool(attached)


@dataclass(frozen=True)
class DockerImage(Resource):
    """An image under `tag`, from exactly one of three sources.

    `reference`: pulled from a registry by digest.
    `archive`: digest of a blob that `docker save` wrote.
    `context`: digest of a blob with a build context (tar), built with `arguments`.
    The tag carries the digest of its source, so a tag that is there holds the right image.
    """

    tag: str
    reference: str = ""
    archive: str = ""
    context: str = ""
    arguments: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        return f"docker-image:{self.tag}"

    def check(self, machine: Machine) -> Change | None:
        verb = "pull" if self.reference else "load" if self.archive else "build"
        found = _unless_unknown(lambda: images(machine))
        if found is None:
            return Change(f"{verb} the image {self.tag}", unknown=True)
        return None if self.tag in found else Change(f"{verb} the image {self.tag}")

    def apply(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        if self.reference:
            self._pull(machine)
        elif self.archive:
            self._load(machine)
        else:
            self._build(machine)
        machine.invalidate("docker-images")

    def remove(self, machine: Machine) -> str | None:
        if not machine.claims(self).get("created") or not shutil.which("docker"):
            return None
        if self.tag not in images(machine):
            return None
        try:
            machine.run(["docker", "image", "rm", self.tag])
        except CommandFailed as failure:
            if not re.search("in use|being used|is using", failure.output):
                raise
            if machine.peers(DockerImage):
                return "a running server still uses it"
            # No other image takes its place: the servers go too.
            users = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={self.tag}"]
            machine.run(["docker", "rm", "--force", "--volumes", *machine.run(users).split()])
            machine.run(["docker", "image", "rm", self.tag])
        finally:
            machine.invalidate("docker-images")
        return None

    def _pull(self, machine: Machine) -> None:
        machine.say(f"pulling {self.reference}")
        try:
            machine.run(["docker", "pull", self.reference], watch=True)
        except CommandFailed as failure:
            raise Problem(
                f"the image {self.reference} cannot be pulled\n{failure.output.strip()}",
                "check name and digest in [image] reference, and that this host reaches the registry",
            ) from None
        machine.run(["docker", "tag", self.reference, self.tag])

    def _load(self, machine: Machine) -> None:
        with machine.blob(self.archive) as path:
            machine.say(f"loading {self.tag} ({os.path.getsize(path) / 1e6:.0f} MB)")
            loaded = parse_loaded(machine.run(["docker", "load", "--quiet", "--input", path]))
        if not loaded:
            raise Problem("the archive holds no image", "make it with `docker save --output FILE IMAGE`")
        machine.run(["docker", "tag", loaded[0], self.tag])
        for name in loaded:
            if name != self.tag and not name.startswith("sha256:"):
                machine.run(["docker", "image", "rm", "--no-prune", name])

    def _build(self, machine: Machine) -> None:
        arguments = [f"--build-arg={key}={value}" for key, value in sorted(self.arguments.items())]
        # By name alone: docker takes the value from its surroundings, so that no password stands in argv.
        arguments += [f"--build-arg={name}" for name in PROXY_VARIABLES if name in os.environ]
        with machine.blob(self.context) as path:
            machine.say(f"building {self.tag}")
            with open(path, "rb") as context:
                machine.run(
                    ["docker", "build", "--tag", self.tag, *arguments, "-"], stdin=context, watch=True
                )


@dataclass(frozen=True)
class DockerVolume(Resource):
    """A named volume. Its removal takes its data away."""

    name: str

    @property
    def id(self) -> str:
        return f"docker-volume:{self.name}"

    def check(self, machine: Machine) -> Change | None:
        found = _unless_unknown(lambda: volumes(machine))
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
    """Names of all volumes on the machine."""
    if not shutil.which("docker"):
        return set()
    command = ["docker", "volume", "ls", "--quiet"]
    return machine.cached("docker-volumes", lambda: set(_ask(machine, command).split()))


def images(machine: Machine) -> set[str]:
    """All tags on the machine."""
    if not shutil.which("docker"):
        return set()
    command = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    return machine.cached("docker-images", lambda: set(_ask(machine, command).split()))


def networks(machine: Machine, name: str) -> dict[str, tuple[str, str, str, str]]:
    """Name → subnet, gateway, bridge, and whether containers reach each other; of `name` and all wanted."""
    if not shutil.which("docker"):
        return {}
    return machine.cached("docker-networks", lambda: _read_networks(machine, name))


def _read_networks(machine: Machine, name: str) -> dict[str, tuple[str, str, str, str]]:
    names = sorted({name, *(peer.name for peer in machine.peers(DockerNetwork))})
    present = set(_ask(machine, ["docker", "network", "ls", "--format", "{{.Name}}"]).split())
    wanted = [name for name in names if name in present]
    return parse_networks(_ask(machine, ["docker", "network", "inspect", *wanted])) if wanted else {}


def parse_networks(text: str) -> dict[str, tuple[str, str, str, str]]:
    """See `networks`; `text` is what `docker network inspect` prints."""
    found = {}
    for network in json.loads(text):
        pools: list[dict[str, Any]] = network["IPAM"]["Config"] or [{}]
        options = network["Options"] or {}
        found[network["Name"]] = (
            pools[0].get("Subnet", ""),
            pools[0].get("Gateway", ""),
            options.get("com.docker.network.bridge.name", ""),
            options.get("com.docker.network.bridge.enable_icc", "true"),
        )
    return found


def parse_loaded(text: str) -> list[str]:
    """Names or ids of images from the lines of `docker load`."""
    prefixes = ("Loaded image ID: ", "Loaded image: ")
    return [line.removeprefix(p) for line in text.splitlines() for p in prefixes if line.startswith(p)]


class _EngineAway(Problem):
    def __init__(self) -> None:
        super().__init__("Docker is installed and does not answer", "on the host: journalctl -u docker")


def _ask(machine: Machine, command: list[str]) -> str:
    try:
        return machine.run(command)
    except CommandFailed as failure:
        if "Cannot connect to the Docker daemon" in failure.output:
            raise _EngineAway from None
        raise


def _unless_unknown(read: Any) -> Any:
    """`read()`, or None while Docker is installed but does not answer: only a running one can tell."""
    try:
        return read()
    except _EngineAway:
        return None
