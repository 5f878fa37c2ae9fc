"""Virtual machines of any kind: their needs on this computer, and their addresses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provision.errors import HubwrightError
from provision.machines import boxes
from provision.machines.console import Console
from provision.machines.machine import NOT_CREATED, Machine
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Target
from provision.tools.atomic import atomic
from provision.tools.process import HERE

GIB = 1024**3
MEMINFO = Path("/proc/meminfo")
ACCESS = ("HostName", "Port", "User", "IdentityFile")
GIVING_UP = "Attempting graceful shutdown"  # Vagrant's words when a machine that it starts does not answer
STATES = {
    "not_created": NOT_CREATED,
    "poweroff": "stopped",
    "shutoff": "stopped",
    "saved": "suspended",
    "inaccessible": "running",  # libvirt's, when its address is not known at this moment
}


class VirtualMachine(Machine):
    """A machine with a box, a console, memory and a disk of its own."""

    takes_boxes = True

    def __init__(self, settings: Settings, others: Sequence[type[Machine]] = ()) -> None:
        super().__init__(settings, others)
        self.console = Console(self.paths.console)

    def facts(self) -> dict[str, Any]:
        vm = self.settings.vm
        box, box_url = boxes.name_and_url(self.settings)
        return {
            "box": box,
            "box_url": box_url,
            "cpus": vm.cpus,
            "memory_mb": vm.memory // 1024**2,
            "disk_gb": -(-vm.disk // 1024**3),
            "console_file": str(self.paths.console),
        }

    def target(self) -> Target:
        """The machine as a host. Vagrant, which takes seconds, is asked once after each start."""
        remembered = self.paths.target
        if remembered.exists():
            return _parse_target(remembered.read_text(encoding="utf-8"))
        if self.status() != "running":
            raise self._not_running()
        return self._ask_for_target()

    def after_start(self, access: Mapping[str, str] | None = None) -> None:
        """Note address and login. Without `access` Vagrant is asked, which may refuse during a start."""
        self._started(self._remember(access) if access else self._ask_for_target())

    def refuse_too_large(self) -> None:
        """Raise HubwrightError when this computer has too little memory or disk space."""
        vm = self.settings.vm
        memory = parse_available(MEMINFO.read_text(encoding="utf-8")) if MEMINFO.exists() else None
        if memory is not None and memory < vm.memory:
            raise HubwrightError(
                f"not enough memory: it asks for {vm.memory / GIB:.1f} GiB, "
                f"and {memory / GIB:.1f} GiB are free",
                where=self.where,
                hint="lower [vm] memory in site.toml, or end something else",
            )
        folder = self._disk_folder()
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if free < vm.disk:
            raise HubwrightError(
                f"not enough room: it asks for a disk of {vm.disk / GIB:.1f} GiB, and at {folder} "
                f"{free / GIB:.1f} GiB are free",
                where=self.where,
                hint="lower [vm] disk in site.toml, or remove something, "
                "for example boxes: `vagrant box list`",
            )

    def _started(self, found: Target) -> None:
        """Do all that this kind needs after each start or wake-up."""

    def _disk_folder(self) -> Path:
        """The folder for the disk; it may not exist yet."""
        return Path.home()

    def _state(self) -> str:
        with self.driver.vagrant() as vagrant:
            state = str(vagrant.status()[0].state)
        return STATES.get(state, state)

    def _provide(self, reporter: Reporter, now: str) -> None:
        if now == "running":
            return
        self._check_computer(reporter)
        if now == NOT_CREATED:
            self.refuse_too_large()
            self._remove_orphans()
            self.ensure_box(reporter)
        self.console.clear()

    def _check_computer(self, reporter: Reporter) -> None:
        """Raise HubwrightError when this computer cannot start such a machine."""

    def ensure_box(self, reporter: Reporter) -> None:
        """Make the box that the settings name, or check that its file exists."""
        if self.settings.vm.box == boxes.ARCHIVE and not self.makes_boxes:
            makers = [kind.provider for kind in self._others if kind.makes_boxes]
            raise HubwrightError(
                f'boxes that are made here (box = "{boxes.ARCHIVE}") are for {" and ".join(makers)}, '
                f"not for {self.provider}",
                where=HERE,
                hint="name another box with [vm] box, for example cloud-image/ubuntu-24.04",
            )
        boxes.ensure(self.settings, reporter)

    def _hear(self, line: str) -> None:
        if GIVING_UP in line:
            self.console.close()

    def _ask_for_target(self) -> Target:
        with self.driver.vagrant() as vagrant:
            return self._remember(vagrant.conf())

    def _remember(self, access: Mapping[str, str]) -> Target:
        """Note the target, and return it. A changed address ends the relay to the old one."""
        text = json.dumps({key: str(access[key]).strip('"') for key in ACCESS})
        file = self.paths.target
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            self.forget()
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic(file) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
        return _parse_target(text)


def parse_available(meminfo: str) -> int | None:
    """Bytes of memory that are available without swapping, from /proc/meminfo."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _parse_target(text: str) -> Target:
    conf = json.loads(text)
    return Target(
        conf["HostName"], int(conf["Port"]), conf["User"], Path(conf["IdentityFile"]), made_here=True
    )
