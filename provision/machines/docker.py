"""The machine of Vagrant's docker provider: a container that is a complete host."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from provision.errors import HubwrightError
from provision.images import ensure_host_image, host_image_tag
from provision.machines.machine import ANSWER_TIMEOUT, NOT_CREATED, Machine
from provision.machines.paths import USER
from provision.report.reporter import Reporter
from provision.ssh import Target
from provision.tools.process import HERE, ProgramError, docker, run
from provision.tools.project import SETUP

LABEL = "hubwright.state"
SSH = 22


@dataclass(frozen=True)
class Container:
    """The part of Docker's answer that counts; ports are on 127.0.0.1 of this computer."""

    running: bool
    ssh_port: int | None
    forwarded: tuple[tuple[int, int], ...]  # port here, port in the machine; without SSH's


class DockerMachine(Machine):
    provider = "docker"
    title = "Docker"
    how_to_get = f"{SETUP or '`sudo apt-get install docker.io`'} installs and starts Docker"
    becomes = (".tar",)

    @classmethod
    def answers(cls) -> str:
        version = docker("info", "--format", "{{.ServerVersion}}", timeout=ANSWER_TIMEOUT)
        return f"Docker {version.strip()} answers"

    def facts(self) -> dict[str, Any]:
        return {
            "host_image": host_image_tag(self.settings),
            "label": f"{LABEL}={self.paths.state}",
            "private_key": str(self.paths.key),
            "environment_file": str(self.paths.environment),
        }

    def target(self) -> Target:
        """The container as a host. Docker is asked each time, which is quick."""
        found = self.container() if self.exists else None
        if found is None or not found.running or found.ssh_port is None:
            raise self._not_running()
        return Target("127.0.0.1", found.ssh_port, USER, self.paths.key, made_here=True)

    def container(self) -> Container | None:
        """Docker's answer about the container that Vagrant has noted; None when it has gone."""
        notes = self.paths.id_file(self.provider)
        if not notes.exists():
            return None
        try:
            return parse(docker("container", "inspect", notes.read_text().strip()))
        except ProgramError as error:
            if "no such container" in error.output.lower():
                return None
            raise

    def _state(self) -> str:
        found = self.container()
        return NOT_CREATED if found is None else "running" if found.running else "stopped"

    def _provide(self, reporter: Reporter, now: str) -> None:
        if now == NOT_CREATED:
            self._remove_orphans()
            self._refuse_taken_name()
            ensure_host_image(self.settings, reporter)
        self._check_running()
        self._make_key()

    def _check_running(self) -> None:
        """Refuse other ports than the container has: Docker fixes them when it makes it."""
        found = self.container()
        wanted = tuple(sorted(pair for pair in self.ports if pair[1] != SSH))
        if found is None or found.forwarded == wanted:
            return
        raise HubwrightError(
            f"it was made with the ports {_words(found.forwarded)}; the settings now say {_words(wanted)}",
            where=self.where,
            hint="set [vm] port and [hub] port back, or `hubwright destroy` and `hubwright up`",
        )

    def _make_key(self) -> None:
        """Make a key of this machine's own; a variable brings its public half into the container."""
        private = self.paths.key
        if not private.exists():
            private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(private)])
        public = private.with_suffix(".pub").read_text().strip()
        self.paths.environment.write_text(f"HUBWRIGHT_AUTHORIZED_KEY={public}\n")

    def _remove_orphans(self) -> None:
        mine = f"label={LABEL}={self.paths.state}"
        for found in docker("ps", "--all", "--quiet", "--filter", mine).split():
            docker("rm", "--force", "--volumes", found)

    def _refuse_taken_name(self) -> None:
        if docker("ps", "--all", "--quiet", "--filter", f"name=^/{self.name}$").strip():
            raise HubwrightError(
                f"a container named {self.name} exists and belongs to another folder or program",
                where=HERE,
                hint="choose another name: [vm] name, in site.toml",
            )


def parse(text: str) -> Container:
    """The first container in the output of `docker container inspect`."""
    found = json.loads(text)[0]
    bindings = found["HostConfig"].get("PortBindings") or {}
    ports = [
        (int(place["HostPort"]), int(port.partition("/")[0]))
        for port, places in bindings.items()
        for place in places or ()
    ]
    ssh = next((here for here, there in ports if there == SSH), None)
    return Container(found["State"]["Running"], ssh, tuple(sorted(pair for pair in ports if pair[1] != SSH)))


def _words(ports: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{here} to {there}" for here, there in ports)
