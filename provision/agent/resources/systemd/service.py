"""Units of systemd."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ..base import Change, CommandFailed, Machine, Problem, Resource
from ..files.file import File, back_up
from ..fs import copy_atomically, lstat, read_text, unlink, write_atomically
from ..network.answers import opener_without_proxy
from ..network.ports import require_free
from . import leftovers

UNITS = "/etc/systemd/system"
DROP_IN = "hubwright.conf"
PYTHON = "/usr/bin/python3"
PROPERTIES = ("Id", "LoadState", "ActiveState", "UnitFileState", "NRestarts", "NeedDaemonReload")
ENABLED = ("enabled", "static", "alias")  # enabled-runtime ends with the next boot
HUNG_AFTER = 120.0  # seconds without an answer; an emulated host needs half of it after a boot
SAY_AFTER = 5.0  # seconds until a wait is worth a word
STARTS_UNTIL_FAILED = 5  # of a unit with Restart=, then it counts as failed
START_TIMEOUT = 180  # seconds that systemd gives a unit to stop and to start, 90 for each
JOURNAL = ("journalctl", "--no-pager", "-q", "-o", "cat")
LAST_WORDS = 20  # lines
# A check takes time from the starting service, so the pause is longer than the check.
POLL_EVERY = 0.1  # seconds
POLL_PAUSE_FACTOR = 2  # times the seconds that the check took

one_at_a_time = threading.Lock()


class Unit(Resource):
    """A unit of systemd. One call asks for the state of all units of a manifest."""

    @property
    @abstractmethod
    def unit_name(self) -> str: ...

    @property
    @abstractmethod
    def unit_files(self) -> Sequence[File]:
        """Our texts of it; one that is not wanted is empty."""

    @property
    def folders(self) -> tuple[str, ...]:
        return UNITS, f"{UNITS}/{self.unit_name}.d"

    def state(self, machine: Machine) -> dict[str, str]:
        """PROPERTIES of this unit; call `invalidate("systemd")` after a change."""
        names = sorted({peer.unit_name for peer in machine.peers(Unit)} | {self.unit_name})  # type: ignore[type-abstract]
        command = ["systemctl", "show", "--property", ",".join(PROPERTIES), "--", *names]
        units = machine.cached("systemd", lambda: parse_show(machine.run(command)))
        return units.get(self.unit_name, {})

    def enable(self, machine: Machine, *, written: bool) -> None:
        """Enable it, and reload systemd when its files were `written` or it was not enabled before.

        A reload reads the files of all units; `systemctl enable` alone would do that every time.
        """
        machine.invalidate("systemd")
        state = self.state(machine)
        enabled = state.get("UnitFileState") in ENABLED
        if not enabled:
            machine.run(["systemctl", "--no-reload", "enable", self.unit_name])
        if written or not enabled or state.get("NeedDaemonReload") != "no":
            machine.run(["systemctl", "daemon-reload"])

    def note(self, machine: Machine, files: Sequence[File]) -> None:
        """Note the unit's state before the first change, and copy files of others that will be replaced."""
        if machine.claims(self):
            return
        state = self.state(machine)
        machine.claim(self)  # creates the folder for the copies
        machine.claim(
            self,
            was_active=state.get("ActiveState") == "active",
            was_enabled=state.get("UnitFileState") == "enabled",
            copies={
                file.path: back_up(machine, file.path) for file in files if file.content and lstat(file.path)
            },
        )

    def note_before(self, machine: Machine) -> None:
        if all(file.path != f"{UNITS}/{self.unit_name}" for file in self.unit_files):  # a package brings it
            self.note(machine, self.unit_files)

    def take_away(self, machine: Machine, files: Sequence[File], *, ours: bool) -> None:
        """Leave the unit as `note` found it. `ours`: one of the files is the unit itself."""
        claims = machine.claims(self)
        was_active, was_enabled = claims.get("was_active"), claims.get("was_enabled")
        machine.invalidate("systemd")  # an earlier answer lacks what is no longer wanted
        if self._is_there(machine):
            if ours or not was_active:
                machine.run(["systemctl", "stop", self.unit_name])
            if ours or not was_enabled:
                machine.run(["systemctl", "disable", self.unit_name])
        copies = claims.get("copies", {})
        for file in files:
            if file.path not in copies:
                leftovers.put(file.path, "")
            elif os.path.exists(copies[file.path]):  # else an earlier try has put it back
                copy_atomically(copies[file.path], file.path)
                unlink(copies[file.path])
        if any(file.content for file in files):
            machine.run(["systemctl", "daemon-reload"])
        machine.invalidate("systemd")
        if ours:
            for file in files:
                leftovers.clear(file.content)
        if ours and (was_active or was_enabled) and self._is_there(machine):
            if was_enabled:
                machine.run(["systemctl", "enable", self.unit_name])
            if was_active:
                machine.run(["systemctl", "restart", self.unit_name])

    def _is_there(self, machine: Machine) -> bool:
        return self.state(machine).get("LoadState", "not-found") != "not-found"


@dataclass(frozen=True)
class Service(Unit):
    """A unit that is enabled, running, and started after the last change of what it `watches`.

    `unit`: the unit file's text; empty for a unit that the distribution brings.
    `drop_in`: text that overrides the unit file, also the distribution's.
    `watches`: ids of resources. The stamps they had at the last start are kept on the machine, so a run
    that was cut short before the restart is finished by the next one.
    `ready`: a URL of this host that answers with a status below `ready_below` once the service can be used.
    `ready_timeout`: seconds until then, enough for an emulated machine; an end is noticed before.
    `ports`: protocol (tcp or udp), address and number of each port, and the setting that chooses it, or
    nothing. While the service does not run, no other program may have them.
    `machine_specific`: files and folders that the program makes once, for one machine only.
    `still_there`: words for the system's python3, which fails when a unit without a process lost its result.
    `noticed`: people at work notice its start.
    """

    name: str
    unit: str = ""
    watches: tuple[str, ...] = ()
    ready: str = ""
    ready_below: int = 500
    ready_timeout: float = 300.0
    ports: tuple[tuple[str, str, int, str], ...] = ()
    drop_in: str = ""
    machine_specific: tuple[str, ...] = ()
    still_there: tuple[str, ...] = ()
    noticed: bool = True

    @property
    def id(self) -> str:
        return f"service:{self.name}"

    @property
    def switches(self) -> bool:
        return bool(self.unit) and self.noticed

    @property
    def unit_name(self) -> str:
        return f"{self.name}.service"

    @property
    def _unit_id(self) -> str:
        return f"unit:{self.unit_name}"

    @property
    def unit_files(self) -> list[File]:
        unit = [File(f"{UNITS}/{self.unit_name}", self.unit)] if self.unit else []
        return [*unit, File(f"{UNITS}/{self.unit_name}.d/{DROP_IN}", self.drop_in)]

    def _file_changes(self, machine: Machine) -> list[Change]:
        found = []
        for file in self.unit_files:
            if file.content and (change := file.check(machine)):
                found.append(change)
            elif not file.content and lstat(file.path):
                found.append(Change(f"remove {file.path}"))
        return found

    def check_possible(self, machine: Machine) -> None:
        """Raise Problem when another program has a port. A service that runs has those of its last start."""
        claims, here = machine.claims(self), [list(port[:3]) for port in self.ports]
        runs = here and claims and self.state(machine).get("ActiveState") in ("active", "reloading")
        kept = claims.get("ports", here) if runs else []
        ours = [peer.name for peer in machine.peers(Service) if peer.unit]
        for port in self.ports:
            if list(port[:3]) not in kept:
                require_free(*port, user=self.name, ours=ours)

    def check(self, machine: Machine) -> Change | None:
        self.check_possible(machine)
        file_changes = self._file_changes(machine)
        changes = [change.summary for change in file_changes]
        diff = "\n".join(change.diff for change in file_changes if change.diff)
        state = self.state(machine)
        if state.get("LoadState", "not-found") == "not-found":
            return Change(f"start {self.name}", diff)
        if state["UnitFileState"] not in ENABLED:
            changes.append(f"enable {self.name}")
        if state["ActiveState"] != "active":
            changes.append(f"start {self.name} (is {state['ActiveState']})")
        elif reason := self._outdated(machine):
            changes.append(f"restart {self.name} ({reason})")
        if not changes:
            return None
        return Change("; ".join(changes), diff)

    def apply(self, machine: Machine) -> None:
        running = self.state(machine).get("ActiveState") == "active"
        self.note(machine, self.unit_files)
        with one_at_a_time:
            changes = self._file_changes(machine)
            if changes:
                self.expect_change(machine, self._unit_id)
                self._write_files()
            self.enable(machine, written=bool(changes))
        machine.claim(self, ports=[list(port[:3]) for port in self.ports])
        stamps = self._stamps(machine)
        if not running or self._outdated(machine):
            machine.say(f"{'restarting' if running else 'starting'} {self.name}")
            with contextlib.suppress(CommandFailed):  # it has forgotten the unit, and its failures
                machine.run(["systemctl", "reset-failed", self.unit_name])
            self._start(machine)
        write_atomically(self._stamp_file(machine), json.dumps(stamps), 0o600)
        machine.invalidate("systemd")

    def remove(self, machine: Machine) -> str | None:
        machine.invalidate("systemd")  # an earlier answer lacks what is no longer wanted
        if self.still_there and self._is_there(machine):
            # Its result may exist though it is not active, and only a stop of the unit removes that.
            with contextlib.suppress(CommandFailed):
                machine.run(["systemctl", "start", self.unit_name])
        self.take_away(machine, self.unit_files, ours=bool(self.unit))
        unlink(self._stamp_file(machine))
        machine.invalidate("systemd")
        return None

    def generalize(self, machine: Machine) -> str | None:
        """Stop and disable a unit of ours: at the first boot its needs are missing until an apply."""
        machine.invalidate("systemd")  # an earlier answer has other units
        if not self._is_there(machine):
            return None
        there = [path for path in self.machine_specific if os.path.exists(path)]
        if self.unit or there:
            machine.run(["systemctl", "stop", self.unit_name])
        if self.unit:
            machine.run(["systemctl", "disable", self.unit_name])
        machine.invalidate("systemd")
        for path in there:
            shutil.rmtree(path) if os.path.isdir(path) else unlink(path)
        if there:
            return f"take away {', '.join(there)}"
        return f"stop {self.name}" if self.unit else None

    def expect_change(self, machine: Machine, id: str) -> None:  # noqa: A002
        """Note that a watched resource is about to change: the service restarts in this run or the next one.

        Stamps alone do not show it: a file may have been edited by hand before the service started.
        """
        if stamps := self._at_start(machine):
            write_atomically(self._stamp_file(machine), json.dumps({**stamps, id: ""}), 0o600)

    def _write_files(self) -> None:
        for file in self.unit_files:
            leftovers.put(file.path, file.content)

    def _start(self, machine: Machine) -> None:
        try:
            machine.run(["systemctl", "restart", self.unit_name])
        except CommandFailed:
            raise self._problem(machine, "does not start") from None
        self.check_usable(machine)

    def revive(self, machine: Machine) -> Change | None:
        """Restart a service that runs and has stopped answering: only a look from outside shows that."""
        try:
            self.check_usable(machine, min(HUNG_AFTER, self.ready_timeout))
        except Problem:
            if machine.abandoned():
                raise
            machine.say(f"restarting {self.name}: it does not answer")
            self._start(machine)
            machine.invalidate("systemd")
            return Change(f"restart {self.name} (it runs, and did not answer for {HUNG_AFTER:.0f} s)")
        return None

    def check_usable(self, machine: Machine, timeout: float | None = None) -> None:
        try:
            if self.ready:
                self._wait_until_ready(machine, self.ready_timeout if timeout is None else timeout)
        except Problem as failure:
            raise self._problem(machine, failure.what) from None

    def _problem(self, machine: Machine, reason: str) -> Problem:
        # No wait lasts longer, so what is older belongs to an earlier start.
        since = f"--since=-{self.ready_timeout + START_TIMEOUT:.0f}s"
        # In reverse: with --since the journal counts its lines from the beginning.
        log = [*JOURNAL, "-r", "-n", str(LAST_WORDS)]
        # The program's own lines: with each restart systemd adds several that say no reason.
        words = _reversed(machine.run([*log, since, f"_SYSTEMD_UNIT={self.unit_name}"]))
        if not words:  # the program did not run, and systemd says why, or has been silent for long
            words = _reversed(machine.run([*log, "-u", self.unit_name]))
        return Problem(
            f"{self.name}: {reason}; the end of its log:\n{words}",
            f"the complete log: journalctl -u {self.name}",
        )

    def _wait_until_ready(self, machine: Machine, timeout: float) -> None:
        import urllib.error  # here, because it loads slowly and most runs start no service

        began = time.monotonic()
        deadline = began + timeout
        opener = opener_without_proxy()
        last = "no answer"
        while (looked := time.monotonic()) < deadline:
            try:
                with opener.open(self.ready, timeout=30):
                    return
            except urllib.error.HTTPError as answer:
                if answer.code < self.ready_below:
                    return
                last = f"status {answer.code}"
            except OSError as error:
                last = str(getattr(error, "reason", error))
            if machine.abandoned():
                raise Problem("the driver has gone while it was not ready yet", "apply again")
            if time.monotonic() - began > SAY_AFTER:
                machine.say(f"waiting until {self.name} answers ({last})")
            machine.invalidate("systemd")
            state = self.state(machine)
            if (
                state.get("ActiveState") == "failed"
                or int(state.get("NRestarts") or 0) >= STARTS_UNTIL_FAILED
            ):
                raise Problem("does not stay up")
            time.sleep(max(POLL_EVERY, POLL_PAUSE_FACTOR * (time.monotonic() - looked)))
        raise Problem(f"not ready after {timeout:.0f} s ({self.ready}: {last})")

    def _outdated(self, machine: Machine) -> str:
        """The reason why a running service has to be restarted; empty when there is none."""
        at_start = self._at_start(machine)
        if not at_start:
            return "its settings may be older than its start"
        changed = {key for key, stamp in self._stamps(machine).items() if at_start.get(key) != stamp}
        changed |= {id_ for id_ in self.watches if (found := machine.find(id_)) and found.check(machine)}
        if self._file_changes(machine):
            changed.add(self._unit_id)
        if changed:
            return f"changed: {', '.join(sorted(key.partition(':')[2] for key in changed))}"
        return "" if self._is_still_there(machine) else "its result is gone"

    def _is_still_there(self, machine: Machine) -> bool:
        try:
            if self.still_there:
                machine.run([PYTHON, *self.still_there])
        except CommandFailed:
            return False
        return True

    def _at_start(self, machine: Machine) -> dict[str, str]:
        """The stamps of our last start of the service; empty when they are not known."""
        try:
            stamps: dict[str, str] = json.loads(read_text(self._stamp_file(machine)))
        except ValueError:
            return {}
        return stamps

    def _stamps(self, machine: Machine) -> dict[str, str]:
        stamps = {self._unit_id: hashlib.sha256((self.unit + self.drop_in).encode()).hexdigest()[:32]}
        for watched in self.watches:
            resource = machine.find(watched)
            if resource is None:
                raise Problem(f"{self.id} watches {watched}, which no role provides")
            stamps[watched] = resource.stamp(machine)
        return stamps

    def _stamp_file(self, machine: Machine) -> str:
        return machine.state("services", f"{self.name}.json")


def _reversed(text: str) -> str:
    return "\n".join(reversed(text.strip().splitlines()))


def parse_show(text: str) -> dict[str, dict[str, str]]:
    """Unit name → properties, from the blocks that `systemctl show` prints for several units."""
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")
    ]
    return {block["Id"]: block for block in blocks if "Id" in block}
