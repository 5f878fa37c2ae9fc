"""A made-up host's systemd, as strict as the real one about files that it has not read yet."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from provision.agent.resources.systemd import service as systemd


@dataclass
class Unit:
    active: str = "inactive"
    enabled: bool = False
    starts: int = 0


def _full(name: str) -> str:
    return name if name.endswith(".timer") else f"{name}.service"


@dataclass(kw_only=True)
class Systemd:
    """Units by name. `read_units`: path and text of the files that it has read."""

    units: dict[str, Unit] = field(default_factory=dict)
    read_units: dict[str, str] = field(default_factory=dict)

    def _systemctl(self, verb: str, *words: str) -> str:
        names = [word.removesuffix(".service") for word in words if word.endswith((".service", ".timer"))]
        if verb == "show":
            return "\n".join(self._shown(name) for name in names)
        if verb == "daemon-reload":
            self.read_units = self._unit_files()
            self._load_units()
            return ""
        if verb == "--no-reload":
            verb = words[0]
            self._load_units()
        for name in names:
            unit = self.units[name]
            if verb == "restart":
                assert not self._unread(name), f"{name} restarts as systemd has read it before"
                unit.active, unit.starts = "active", unit.starts + 1
            elif verb == "stop":
                unit.active = "inactive"
            elif verb in ("enable", "disable"):
                unit.enabled = verb == "enable"
        return ""

    def _load_units(self) -> None:
        for path in Path(systemd.UNITS).iterdir():
            self.units.setdefault(path.name.removesuffix(".service"), Unit())

    def _unit_files(self, name: str = "") -> dict[str, str]:
        """Path and text of each file; with `name`, those of one unit."""
        found = {}
        for folder, _, files in os.walk(systemd.UNITS):
            paths = [f"{folder}/{file}" for file in files if not file.startswith(".")]
            found.update({path: Path(path).read_text() for path in paths if name in path})
        return found

    def _unread(self, name: str) -> bool:
        own = f"/{_full(name)}"
        read = {path: text for path, text in self.read_units.items() if own in path}
        return self._unit_files(own) != read

    def _shown(self, name: str) -> str:
        unit = self.units.get(name)
        full = _full(name)
        there = unit is not None and (name == "docker" or Path(f"{systemd.UNITS}/{full}").exists())
        if unit is None or not there:
            return f"Id={full}\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
        enabled = "enabled" if unit.enabled else "disabled"
        return (
            f"Id={full}\nLoadState=loaded\nActiveState={unit.active}\nUnitFileState={enabled}\n"
            f"NeedDaemonReload={'yes' if self._unread(name) else 'no'}\n"
        )
