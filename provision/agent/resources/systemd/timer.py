"""Timers of systemd, each with the service that it starts."""

from __future__ import annotations

from dataclasses import dataclass

from ..base import Change, Machine
from ..files.file import File
from ..fs import write_atomically
from . import service as systemd


@dataclass(frozen=True)
class Timer(systemd.Unit):
    """A timer that is enabled and waiting. `timer` and `service` are the texts of its two units."""

    name: str
    timer: str
    service: str

    @property
    def id(self) -> str:
        return f"timer:{self.name}"

    @property
    def unit_name(self) -> str:
        return f"{self.name}.timer"

    @property
    def unit_files(self) -> tuple[File, ...]:
        place = f"{systemd.UNITS}/{self.name}"
        return File(f"{place}.service", self.service), File(f"{place}.timer", self.timer)

    def check(self, machine: Machine) -> Change | None:
        changes = [change for file in self.unit_files if (change := file.check(machine))]
        state = self.state(machine)
        if state.get("LoadState", "not-found") == "not-found":
            return Change(f"start the timer {self.name}", "\n".join(change.diff for change in changes))
        words = [change.summary for change in changes]
        if machine.claims(self).get("changing"):
            words.append(f"start the timer {self.name} again: a change of it was cut short")
        if state["UnitFileState"] not in systemd.ENABLED:
            words.append(f"enable the timer {self.name}")
        if state["ActiveState"] != "active":
            words.append(f"start the timer {self.name} (is {state['ActiveState']})")
        return Change("; ".join(words), "\n".join(change.diff for change in changes)) if words else None

    def apply(self, machine: Machine) -> None:
        self.note(machine, self.unit_files)
        with systemd.one_at_a_time:
            machine.claim(self, changing=True)
            changed = [file for file in self.unit_files if file.check(machine)]
            for file in changed:
                write_atomically(file.path, file.content, 0o644)
            self.enable(machine, written=bool(changed))
        machine.run(["systemctl", "restart", self.unit_name])
        machine.claim(self, changing=False)
        machine.invalidate("systemd")

    def generalize(self, machine: Machine) -> str | None:
        machine.invalidate("systemd")  # an earlier answer has other units
        if not self._is_there(machine):
            return None
        machine.run(["systemctl", "stop", self.unit_name])
        machine.run(["systemctl", "disable", self.unit_name])
        machine.invalidate("systemd")
        return f"stop the timer {self.name}"

    def remove(self, machine: Machine) -> str | None:
        if machine.claims(self):
            self.take_away(machine, self.unit_files, ours=True)
        return None
