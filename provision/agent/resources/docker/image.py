"""Docker's images."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field

from ..base import Change, CommandFailed, Machine, Problem, Resource
from .engine import ask, unless_unknown

# Docker's predefined build arguments: no part of an image, nor of its history.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class DockerImage(Resource):
    """An image under `tag`, from exactly one of three sources.

    `reference`: pulled from a registry by digest.
    `archive`: digest of a blob that `docker save` wrote.
    `context`: digest of a blob with a build context (tar), built with `arguments`.
    The tag carries the digest of its source, so a tag that exists has the right image.
    """

    tag: str
    reference: str = ""
    archive: str = ""
    context: str = ""
    arguments: dict[str, str] = field(default_factory=dict, hash=False)

    preparatory = True

    @property
    def id(self) -> str:
        return f"docker-image:{self.tag}"

    def check(self, machine: Machine) -> Change | None:
        verb = "pull" if self.reference else "load" if self.archive else "build"
        found = unless_unknown(lambda: images(machine))
        if found is None:
            return Change(f"{verb} the image {self.tag}", unknown=True)
        if self.tag not in found:
            return Change(f"{verb} the image {self.tag}")
        left = [name for name in self._other_names(machine) if name in found]
        return Change(f"take other names off the image {self.tag}: {', '.join(left)}") if left else None

    def apply(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        if self._other_names(machine) and self.tag in images(machine):
            self._take_other_names(machine)
        elif self.reference:
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
            # No other image replaces it: its servers are removed too.
            users = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={self.tag}"]
            machine.run(["docker", "rm", "--force", "--volumes", *machine.run(users).split()])
            machine.run(["docker", "image", "rm", self.tag])
        finally:
            machine.invalidate("docker-images")
        return None

    def _pull(self, machine: Machine) -> None:
        machine.say(f"pulling {self.reference}")
        try:
            machine.run(["docker", "pull", self.reference], watch=True, interruptible=True)
        except CommandFailed as failure:
            raise Problem(
                f"the image {self.reference} cannot be pulled\n{failure.output.strip()}",
                "check name and digest in [image] reference, and that this host reaches the registry",
            ) from None
        machine.run(["docker", "tag", self.reference, self.tag])

    def _load(self, machine: Machine) -> None:
        with machine.blob(self.archive) as path:
            machine.say(f"loading {self.tag} ({os.path.getsize(path) / 1e6:.0f} MB)")
            load = ["docker", "load", "--quiet", "--input", path]
            loaded = parse_loaded(machine.run(load, interruptible=True))
        if not loaded:
            raise Problem("the archive holds no image", "make it with `docker save --output FILE IMAGE`")
        others = [name for name in loaded if name != self.tag and not name.startswith("sha256:")]
        machine.claim(self, other_names=others)
        machine.run(["docker", "tag", loaded[0], self.tag])
        machine.invalidate("docker-images")
        self._take_other_names(machine)

    def _other_names(self, machine: Machine) -> list[str]:
        """The names that an archive gave the image, while they have not been taken off again."""
        names: list[str] = machine.claims(self).get("other_names", [])
        return names

    def _take_other_names(self, machine: Machine) -> None:
        for name in self._other_names(machine):
            if name in images(machine):
                machine.run(["docker", "image", "rm", "--no-prune", name])
        machine.claim(self, other_names=[])

    def _build(self, machine: Machine) -> None:
        arguments = [f"--build-arg={key}={value}" for key, value in sorted(self.arguments.items())]
        # By name alone: docker takes the value from its environment, so that no password is in argv.
        arguments += [f"--build-arg={name}" for name in PROXY_VARIABLES if name in os.environ]
        with machine.blob(self.context) as path:
            machine.say(f"building {self.tag}")
            with open(path, "rb") as context:
                build = ["docker", "build", "--tag", self.tag, *arguments, "-"]
                machine.run(build, stdin=context, watch=True, interruptible=True)


def images(machine: Machine) -> dict[str, str]:
    """All tags on the host, each with the identifier of its image."""
    if not shutil.which("docker"):
        return {}
    command = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]
    return machine.cached("docker-images", lambda: parse_images(ask(machine, command)))


def parse_images(text: str) -> dict[str, str]:
    """See `images`; `text` is what `docker image ls` prints."""
    return dict(line.rsplit(" ", 1) for line in text.splitlines())


def parse_loaded(text: str) -> list[str]:
    """Names or ids of images from the lines of `docker load`."""
    prefixes = ("Loaded image ID: ", "Loaded image: ")
    return [line.removeprefix(p) for line in text.splitlines() for p in prefixes if line.startswith(p)]
