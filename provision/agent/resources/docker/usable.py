"""The engine that a host has, looked at before anything is changed."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import Any

from ..base import Change, CommandFailed, Machine, Problem, Resource
from .daemon import daemon, refuse_unusable

OLDEST = (20, 10)  # of the oldest distribution that a host may run


@dataclass(frozen=True)
class UsableEngine(Resource):
    """No engine, or one that a hub can run on: any other is a Problem, which a plan already shows.

    `service`: the name of the engine's service. Once a run has started that, its versions are known to fit.
    """

    service: str

    @property
    def id(self) -> str:
        return f"engine:{self.service}"

    def check(self, machine: Machine) -> Change | None:
        programs = {name: shutil.which(name) is not None for name in ("docker", "dockerd")}
        found = daemon(machine)
        refuse_unusable(found, programs=programs)
        if programs["docker"] and not programs["dockerd"]:
            _refuse_podman(machine)
        started_before = os.path.exists(machine.state("services", f"{self.service}.json"))
        if programs["docker"] and found.state == "active" and not started_before:
            refuse_version(_versions(machine))
        return None

    def apply(self, machine: Machine) -> None:
        """Do nothing: it holds, or it is a Problem."""

    def remove(self, machine: Machine) -> str | None:  # noqa: ARG002
        return None


def _refuse_podman(machine: Machine) -> None:
    try:
        said = machine.run(["docker", "--version"])
    except CommandFailed:
        return
    if "podman" in said.lower():
        raise Problem(
            f"the command docker is Podman's here ({said.strip()}), and a hub needs Docker itself",
            "remove podman-docker; Podman may stay",
        )


def _versions(machine: Machine) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(machine.run(["docker", "version", "--format", "{{json .}}"]))
    except CommandFailed as failure:
        if match := re.search(r"client version \S+ is too (old|new).*", failure.output):
            raise Problem(
                f"the command docker and the engine do not fit together: {match[0]}",
                "install both from one source, in one version",
            ) from None
        return {}
    except ValueError:
        return {}
    return found


def refuse_version(found: dict[str, Any]) -> None:
    """Raise Problem for an engine, described by `docker version`, that is too old."""
    version = str((found.get("Server") or {}).get("Version", ""))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers and numbers < OLDEST:
        raise Problem(
            f"Docker {version} is too old: a hub needs {'.'.join(map(str, OLDEST))} or later",
            "upgrade it from where it came",
        )
