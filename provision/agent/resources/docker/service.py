"""The engine's service, which other people's containers may depend on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from ..base import Change, CommandFailed, Machine, Problem
from ..fs import read_text
from ..systemd.leftovers import put
from ..systemd.service import Service
from .control import load, mark, restart, words_since
from .settings import EngineSettings

OF_A_SWARM = "com.docker.swarm.task.id"  # the swarm itself starts such a container again


@dataclass(frozen=True)
class EngineService(Service):
    """dockerd. One that does not take our settings gets its old ones back, and is started again if need be.

    It reads them before a restart: what it refuses stops nothing, and live-restore is in force when the
    restart comes. Containers that ran before a restart run after it.
    """

    def check(self, machine: Machine) -> Change | None:
        change = super().check(machine)
        if change is None or f"restart {self.name}" not in change.summary:
            return change
        reason = self._stops_containers(machine)
        if not reason or not (count := len(_running(machine))):
            return change
        words = f"{count} containers stop for it and are started again: {reason}"
        return Change(f"{change.summary}; {words}", change.diff)

    def apply(self, machine: Machine) -> None:
        machine.invalidate("dockerd")  # it may have come with packages since
        texts = {file.path: read_text(file.path) for file in self.unit_files}
        containers, marked = _running(machine), mark(machine)
        try:
            if self.state(machine).get("ActiveState") == "active":
                load(machine)
            super().apply(machine)
        except Problem as failure:
            raise self._put_back(machine, failure, texts, marked, containers) from None
        for settings in machine.peers(EngineSettings):
            settings.keep(machine)
        if self._stops_containers(machine):
            _start(machine, containers)

    def _stops_containers(self, machine: Machine) -> str:
        """The reason why containers do not outlive a restart; empty when they do."""
        found = (each.left_out(machine).get("live-restore", "") for each in machine.peers(EngineSettings))
        return next(filter(None, found), "")

    def _outdated(self, machine: Machine) -> str:
        reason = super()._outdated(machine)
        if reason and not self._at_start(machine) and self._has_nothing_of_ours(machine):
            return ""
        return reason

    def _has_nothing_of_ours(self, machine: Machine) -> bool:
        """True while an engine of others runs and nothing had to be changed for it to read."""
        settings = {each.id: each for each in machine.peers(EngineSettings)}
        return not self.drop_in and all(
            id_ in settings and settings[id_].check(machine) is None and not machine.claims(settings[id_])
            for id_ in self.watches
        )

    def _put_back(
        self,
        machine: Machine,
        failure: Problem,
        texts: Mapping[str, str],
        marked: str,
        containers: list[str],
    ) -> Problem:
        """Put back what the engine ran with, and start it. Returns the words for the operator."""
        words = "\n".join(words_since(machine, marked)) or failure.what
        files = [each.path for each in machine.peers(EngineSettings) if each.put_back(machine)]
        for path, text in texts.items():
            if read_text(path) != text:
                put(path, text)
                files.append(path)
        if not files:
            return Problem(f"docker does not start:\n{words}", failure.hint)
        place = f"{' and '.join(files)} {'is' if len(files) == 1 else 'are'} put back"
        try:
            machine.run(["systemctl", "daemon-reload"])
            machine.invalidate("systemd")
            if self.state(machine).get("ActiveState") == "active":
                _start(machine, containers)  # systemd may have tried once more meanwhile
                return Problem(
                    f"docker refuses our settings:\n{words}\n{place}, and Docker runs on", failure.hint
                )
            restart(machine)
        except CommandFailed:
            after = f"{place}, and Docker does not start without ours either"
        else:
            _start(machine, containers)
            after = f"{place}, and Docker runs as before"
        return Problem(f"docker does not start with our settings:\n{words}\n{after}", failure.hint)


def _running(machine: Machine) -> list[str]:
    """The containers that run and that nothing else would start again; none while the engine is away."""
    if not shutil.which("docker"):
        return []
    form = f'{{{{.ID}}}} {{{{.Label "{OF_A_SWARM}"}}}}'
    try:
        lines = machine.run(["docker", "ps", "--no-trunc", "--format", form]).splitlines()
    except CommandFailed:
        return []
    return [words[0] for line in lines if len(words := line.split()) == 1]


def _start(machine: Machine, containers: list[str]) -> None:
    """Start those containers that do not run any more."""
    if not containers:
        return
    for container in sorted(set(containers) - set(_running(machine))):
        with contextlib.suppress(CommandFailed):  # one that removes itself at its end
            machine.run(["docker", "start", container])
            machine.say(f"started the container {container[:12]} again")
