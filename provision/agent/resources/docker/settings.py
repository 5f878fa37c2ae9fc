"""dockerd's settings file, of which some keys are ours."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from typing import Any

from ..base import Change, CommandFailed, Machine, Problem
from ..files.json_keys import JsonKeys
from .control import load, restart
from .daemon import Daemon, daemon

FLAGS = {"registry-mirrors": "registry-mirror"}  # where a key's flag has another name
DEFAULTS: dict[str, Any] = {"live-restore": False, "registry-mirrors": []}  # of dockerd
VALIDATE_TIMEOUT = 20  # seconds


@dataclass(frozen=True)
class EngineSettings(JsonKeys):
    """Keys of daemon.json that dockerd starts with.

    A key that the engine cannot take, because it has it on its command line or is part of a swarm, is left
    out when it is one of `optional`; else it is a Problem. The file as it would be is tried before it is
    written.
    """

    optional: tuple[str, ...] = ()

    def wanted(self, machine: Machine) -> dict[str, Any]:
        left_out = self.left_out(machine)
        return {key: value for key, value in self.values.items() if key not in left_out}

    def check(self, machine: Machine) -> Change | None:
        change = super().check(machine)
        if change is None:
            return None
        self._validate(machine)
        reasons = [f"{key} is left out: {reason}" for key, reason in self.left_out(machine).items()]
        return Change("; ".join([change.summary, *reasons]))

    def found_first(self, machine: Machine) -> dict[str, Any]:
        return {"was_active": daemon(machine).state == "active"}

    def remove(self, machine: Machine) -> str | None:
        """Give the file back, and the engine too: it takes the file's settings, and runs if it ran before."""
        machine.invalidate("dockerd")
        was_active = machine.claims(self).get("was_active") and shutil.which("dockerd")
        if was_active and daemon(machine).state == "active":
            with contextlib.suppress(CommandFailed, Problem):  # it runs on with what it has
                self._take_back(machine)
        reason = super().remove(machine)
        if was_active and daemon(machine).state != "active":
            restart(machine)
        return reason

    def _take_back(self, machine: Machine) -> None:
        """Let a running engine forget our values: one that the file does not have at all would stay."""
        held = {key: DEFAULTS[key] for key in self._held(machine) if key in DEFAULTS}
        if held:
            self._store({**self._load(), **held, **machine.claims(self).get("before", {})})
            load(machine)

    def left_out(self, machine: Machine) -> dict[str, str]:
        """The keys that the engine cannot take, with the reason."""
        found = daemon(machine)
        pairs = ((key, self._left_out(key, value, found)) for key, value in self.values.items())
        return {key: reason for key, reason in pairs if reason}

    def _left_out(self, key: str, value: Any, found: Daemon) -> str:
        flag = FLAGS.get(key, key)
        reason = ""
        if flag in found.flags:
            if list(found.flags[flag]) == value:
                return f"dockerd has --{flag} on its command line"
            reason = f"dockerd has --{flag}={found.flags[flag][-1]} on its command line"
        elif "config-file" in found.flags and found.settings_path != self.path:
            reason = f"dockerd reads {found.settings_path} in its place"
        elif key == "live-restore" and value and found.in_a_swarm:
            reason = "the engine is part of a swarm, which excludes it"
        if reason and key not in self.optional:
            raise Problem(
                f"{key} cannot be set in {self.path}: {reason}",
                f"give {key} there the value {json.dumps(value)}, or take it out there",
            )
        return reason

    def _validate(self, machine: Machine) -> None:
        """Let dockerd read the file as it would be, where it knows how to (since 23.0)."""
        if not shutil.which("dockerd") or "--validate" not in _help(machine):
            return
        text = json.dumps(self.merged(machine))
        command = ["timeout", str(VALIDATE_TIMEOUT), "dockerd", *daemon(machine).arguments]
        try:
            machine.run([*command, "--validate", "--config-file=/dev/stdin"], input=text)
        except CommandFailed as failure:
            words = failure.output.strip().replace("/dev/stdin", self.path)
            raise Problem(
                f"dockerd refuses {self.path} with our keys: {words}", f"correct {self.path} on the host"
            ) from None


def _help(machine: Machine) -> str:
    try:
        return machine.cached("dockerd-help", lambda: machine.run(["dockerd", "--help"]))
    except CommandFailed:
        return ""
