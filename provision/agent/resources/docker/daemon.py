"""dockerd as this host runs it: its command line, its settings file, and the places that follow from them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..base import CommandFailed, Machine, Problem
from ..fs import read_text

UNIT, SOCKET = "docker.service", "docker.socket"
SNAP_UNIT = "snap.docker.dockerd.service"
SETTINGS = "/etc/docker/daemon.json"
DATA_ROOT = "/var/lib/docker"
CONTAINERD_ROOT, CONTAINERD_SETTINGS = "/var/lib/containerd", "/etc/containerd/config.toml"
CONTAINERD_S = ["driver-type", "io.containerd.snapshotter.v1"]  # among `docker info`'s DriverStatus
IN_A_SWARM = "swarm/docker-state.json"  # under the data root; dockerd deletes it when it leaves a swarm
PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "MainPID",
    "ExecStart",
    "Environment",
    "EnvironmentFiles",
)
SHORT = {"b": "bridge", "D": "debug", "g": "data-root", "G": "group", "H": "host", "l": "log-level"}
SHORT |= {"p": "pidfile", "s": "storage-driver"}
LONG = {"graph": "data-root"}


@dataclass(frozen=True)
class Daemon:
    """The engine of this host. `state` and `loaded`: ActiveState and LoadState of its unit.

    `flags`: values by name, of the process that runs and of the one that the unit would start.
    `arguments`: the words of the latter. `snap`: snapd has an engine.
    """

    loaded: str = "not-found"
    state: str = "inactive"
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    snap: bool = False

    @property
    def settings_path(self) -> str:
        return self.flags.get("config-file", (SETTINGS,))[-1]

    def settings(self) -> dict[str, Any]:
        """The content of its settings file; nothing when that is not a JSON object."""
        try:
            data = json.loads(read_text(self.settings_path) or "{}")
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}

    def setting(self, key: str) -> Any:
        """The value of a key, from the command line or the file; None when neither has it."""
        if key in self.flags:
            return self.flags[key][-1]
        return self.settings().get(key)

    @property
    def data_root(self) -> str:
        """The folder that images, containers and volumes are in."""
        return str(self.setting("data-root") or self.settings().get("graph") or DATA_ROOT)

    @property
    def in_a_swarm(self) -> bool:
        return os.path.exists(os.path.join(self.data_root, IN_A_SWARM))


def daemon(machine: Machine) -> Daemon:
    """The engine of this host; one call asks systemd."""
    return machine.cached("dockerd", lambda: _read(machine))


def image_root(machine: Machine) -> str:
    """The folder that images are kept in: a running engine tells, for it may leave them to containerd."""
    found = daemon(machine)
    if found.state == "active" and shutil.which("docker"):
        try:
            told = json.loads(machine.run(["docker", "info", "--format", "{{json .}}"]))
        except (CommandFailed, ValueError):
            return found.data_root
        if CONTAINERD_S in (told.get("DriverStatus") or []):
            return parse_containerd_root(read_text(CONTAINERD_SETTINGS))
        return str(told.get("DockerRootDir") or found.data_root)
    return found.data_root


def parse_containerd_root(text: str) -> str:
    """The folder of containerd's data, from the text of its config.toml."""
    match = re.search(r"""^root\s*=\s*["'](.+?)["']""", text, re.MULTILINE)
    return match[1] if match else CONTAINERD_ROOT


def _read(machine: Machine) -> Daemon:
    command = ["systemctl", "show", "--property", ",".join(PROPERTIES), "--", UNIT, SNAP_UNIT]
    units = parse_units(machine.run(command))
    unit = units.get(UNIT, {})
    pid = "".join(unit.get("MainPID", []))
    running = read_text(f"/proc/{pid}/cmdline").split("\0")[1:-1] if pid not in ("", "0") else []
    configured = parse_arguments(unit, read_text)
    return Daemon(
        loaded="".join(unit.get("LoadState", ["not-found"])),
        state="".join(unit.get("ActiveState", ["inactive"])),
        flags={**parse_flags(running), **parse_flags(configured)},
        arguments=tuple(configured),
        snap="".join(units.get(SNAP_UNIT, {}).get("LoadState", [])) == "loaded",
    )


def parse_units(text: str) -> dict[str, dict[str, list[str]]]:
    """Unit → property → values, from the blocks of `systemctl show`: some properties come several times."""
    units = {}
    for block in text.split("\n\n"):
        found: dict[str, list[str]] = {}
        for line in block.splitlines():
            key, equals, value = line.partition("=")
            if equals:
                found.setdefault(key, []).append(value)
        if "Id" in found:
            units[found["Id"][0]] = found
    return units


def parse_arguments(unit: Mapping[str, list[str]], read: Any) -> list[str]:
    """The arguments that a unit would start its program with, with its variables in their places.

    `read`: the text of a file, empty when there is none. See systemd.service(5), "Command lines".
    """
    match = re.search(r"argv\[\]=(.*?) ; ignore_errors=", "".join(unit.get("ExecStart", [])))
    variables: dict[str, str] = {}
    for line in unit.get("Environment", []):
        variables.update(_assignments(_words(line)))
    for line in unit.get("EnvironmentFiles", []):
        lines = read(line.rpartition(" (")[0]).splitlines()
        variables.update(_assignments(word for each in lines for word in _words(each)[:1]))
    arguments: list[str] = []
    for word in (match[1].split() if match else [])[1:]:
        if name := re.fullmatch(r"\$(\w+)", word):  # one of its own becomes as many words as it has
            arguments += _words(variables.get(name[1], ""))
        else:
            arguments.append(re.sub(r"\$\{(\w+)\}", lambda found: variables.get(found[1], ""), word))
    return arguments


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return []


def _assignments(words: Iterable[str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in words)
    return {key: value for key, equals, value in pairs if equals}


def parse_flags(arguments: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Values by the flag's long name; `true` for one without a value."""
    flags: dict[str, tuple[str, ...]] = {}
    name = ""  # of a flag whose value may be the next word
    for word in arguments:
        if word.startswith("-"):
            key, equals, value = word.lstrip("-").partition("=")
            if not word.startswith("--") and len(key) > 1 and not equals:
                key, equals, value = key[0], "=", key[1:]  # -Hfd://
            name = SHORT.get(key, LONG.get(key, key))
            flags[name] = (*flags.get(name, ()), value if equals else "true")
            name = "" if equals else name
        elif name:
            flags[name] = (*flags[name][:-1], word)
            name = ""
    return flags


def refuse_unusable(found: Daemon, *, programs: Mapping[str, bool]) -> None:
    """Raise Problem for an engine that a hub cannot run on. `programs`: which of them are on this host."""
    if found.snap:
        raise Problem(
            "Docker is here as a snap, which keeps its containers from the folders of a hub; a second "
            "engine beside it would take its socket away",
            "move its containers to the distribution's docker.io or to Docker's own packages, then "
            "`snap remove docker`",
        )
    if found.loaded == "masked":
        raise Problem(f"{UNIT} is masked: nothing may start Docker", f"`systemctl unmask {UNIT}`")
    if programs["dockerd"] and programs["docker"] and found.loaded == "not-found":
        raise Problem(
            f"dockerd is here, and no {UNIT} that would start it",
            "install Docker from the distribution's or Docker's own packages, or write that unit",
        )
    if found.setting("iptables") in (False, "false"):
        where = "its command line" if "iptables" in found.flags else found.settings_path
        raise Problem(
            f"Docker makes no rules of its own ({where} says iptables: false): notebooks would reach each "
            "other, and nothing outside",
            "take that out and restart Docker, or use another host",
        )
