"""The loop: every resource is checked, and planned, applied, removed or generalized."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import generalize, phases
from .channel import Channel
from .distributions import Distribution
from .events import Result, Status
from .machine import LocalMachine, Shared
from .phases import Role
from .resources import Abandoned, Change, Problem, Resource, Service, from_json, fs
from .state import State

NO_SPACE = "No space left on device"  # as programs say it
NOT_YET = re.compile(r"certificate is not yet valid|NotValidYet|not yet activated", re.IGNORECASE)
CLOCK_HINT = "the host's clock is slow: it says %Y-%m-%d %H:%M UTC; set it (`timedatectl`)"
SPACE_HINT = "free some space on the host, then repeat the command"
OS_ERROR_HINTS = {
    errno.ENOSPC: SPACE_HINT,
    errno.EDQUOT: "root has a disk quota there: raise it, or free some space",
    errno.EROFS: "mount that file system writable on the host",
    errno.EMFILE: "the host allows a process too few open files: see limits.conf(5), and ulimit -n",
    errno.EAGAIN: "the host allows too few processes: see limits.conf(5), ulimit -u, and `systemd-cgtop`",
    errno.ENOMEM: "the host has no memory left: stop something, or add swap",
    errno.EIO: "the host's disk has a fault: `dmesg` there names it",
}


class Run:
    """One run of a manifest. A role waits only for those that it needs; its resources keep their order.

    On a host that serves people, all that may fail comes first: see phases.py.
    """

    def __init__(
        self, manifest: dict[str, Any], channel: Channel, state: State, distribution: Distribution
    ) -> None:
        self.channel = channel
        self.state = state
        self.roles = [
            Role(role["name"], tuple(role["needs"]), tuple(from_json(data) for data in role["resources"]))
            for role in manifest["roles"]
        ]
        self.complete = bool(manifest["complete"])
        self.shared = Shared(
            channel,
            state,
            {resource.id: resource for role in self.roles for resource in role.resources},
            manifest["options"],
            distribution,
        )
        self.count: Counter[str] = Counter()
        self.changed: list[str] = []
        self.failed: set[str] = set()
        self.skipped: set[str] = set()
        """Roles that were stopped before their end, without a fault of theirs."""
        self._held: set[str] = set()
        """Resources that were true when the run prepared, and whose turn comes later."""
        self._failures: set[str] = set()
        self._counting = threading.Lock()

    def plan(self) -> None:
        for role in self.roles:
            machine = LocalMachine(role.name, self.shared)
            for resource in role.resources:
                try:
                    change = resource.check(machine)
                except Exception as error:
                    self._fail(role.name, resource.id, error)
                    continue
                if change is None:
                    self._report(role.name, resource.id, Status.OK)
                else:
                    status = Status.UNKNOWN if change.unknown else Status.WOULD_CHANGE
                    self._report(role.name, resource.id, status, change)
        for id_, applied in self._obsolete():
            self._report(applied.role, id_, Status.WOULD_REMOVE, Change(f"remove {id_}"))

    @property
    def is_complete(self) -> bool:
        """True while every role has come to its end, as far as it is known."""
        return not (self.failed or self.skipped)

    def apply(self) -> None:
        self._sweep()
        if self._is_possible():
            self._apply()
        if self.is_complete:
            self.state.tidy()
        # A run without changes after a failed one writes a line, too: status reads the journal.
        worth_a_line = self.changed or not self.is_complete or self.state.last_run_failed()
        if worth_a_line and self.state.applied:  # else its folder does not exist, or is deleted now
            self._write_journal()
        self.state.end()

    def _is_possible(self) -> bool:
        """False when the host is not one for some resource, which is reported: then nothing is changed."""
        for role in self.roles:
            machine = LocalMachine(role.name, self.shared)
            for resource in role.resources:
                try:
                    resource.check_possible(machine)
                except Exception as error:
                    self._fail(role.name, resource.id, error)
        return not self.failed

    def _apply(self) -> None:
        self._remove_obsolete([it for it in self._obsolete() if it[1].resource.get("goes_first")])
        served = phases.serving(self.state.applied)
        rest = phases.rests(self.roles) if served else {role.name: role.resources for role in self.roles}
        if served:
            self._side_by_side(lambda role: self._prepare_role(role, rest[role.name]))
        faulty = self.failed | self.skipped
        prepared = not served or not phases.hold_up(self.roles, faulty, complete=self.complete)
        if prepared:
            self._apply_rest(rest)
        else:
            self._leave(rest)
        if self.is_complete:
            self._remove_obsolete(self._obsolete())
        if served and self.roles and not self.is_complete and not self.channel.gone.is_set():
            self._look_after_failure(served, touched=prepared)

    def _sweep(self) -> None:
        """Delete what a killed run did not finish to write, wherever this run or an earlier one writes."""
        resources = list(self.shared.resources.values())
        for applied in self.state.applied.values():
            with contextlib.suppress(KeyError):  # an unknown kind of resource
                resources.append(from_json(applied.resource))
        folders = [folder for resource in resources for folder in resource.folders]
        if found := fs.sweep([*folders, *self.state.folders]):
            self.channel.say(f"deleted what a run that was cut short left unfinished: {', '.join(found)}")

    def _side_by_side(self, work: Callable[[Role], None]) -> None:
        """Do this for every role, each as soon as it is done for the roles that it needs."""
        done = {role.name: threading.Event() for role in self.roles}

        def one(role: Role) -> None:
            try:
                for need in role.needs:
                    done[need].wait()
                work(role)
            except BaseException:
                self.failed.add(role.name)  # roles that need it must not go on as if it were applied
                raise
            finally:
                done[role.name].set()

        threads = [threading.Thread(target=one, args=(role,)) for role in self.roles]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _prepare_role(self, role: Role, rest: Sequence[Resource]) -> None:
        """Apply the role's first resources; check the rest, and do of it what nothing in use reads."""
        self._apply_part(role, role.resources[: len(role.resources) - len(rest)])
        if self._stopped(role):
            return
        machine = LocalMachine(role.name, self.shared)
        for resource in rest:  # all of them, though one fails: one run names all that is wrong
            if machine.abandoned():
                return
            try:
                if resource.check(machine) is None:
                    self._held.add(resource.id)
                else:
                    resource.prepare(machine)
            except Abandoned as error:
                self._failures.add(resource.id)
                self._report(role.name, resource.id, Status.SKIPPED, Change(error.what))
                self.skipped.add(role.name)
                return
            except Exception as error:
                self._fail(role.name, resource.id, error)

    def _apply_rest(self, rest: Mapping[str, Sequence[Resource]]) -> None:
        wanted = {resource.id for resources in rest.values() for resource in resources}
        if self.changed or wanted != self._held:
            self._held.clear()  # what is changed now may undo what was true
            self.shared.cache.clear()  # these answers may be minutes old
        self._side_by_side(lambda role: self._apply_part(role, rest[role.name]))

    def _leave(self, rest: Mapping[str, Sequence[Resource]]) -> None:
        """Report the rest of a run that could not prepare everything."""
        for role in self.roles:
            for resource in rest[role.name]:
                if resource.id in self._held:
                    self._report(role.name, resource.id, Status.OK)
                elif resource.id not in self._failures:
                    reason = self._stopped(role) or phases.LEFT
                    self._report(role.name, resource.id, Status.SKIPPED, Change(reason))
                    self.skipped.add(role.name)

    def _look_after_failure(self, served: Sequence[Service], *, touched: bool) -> None:
        """Say what people meet after a run that has failed: some of it may be down."""
        there = phases.serving(self.state.applied) if touched else served
        if faults := phases.down(LocalMachine("machine", self.shared), there):
            problem = Problem(phases.DOWN.format("; ".join(faults)), phases.DOWN_HINT)
            self._fail("machine", "hub", problem)
        else:
            words = phases.ANSWERS if touched else phases.UNTOUCHED
            self.channel.emit(Result("machine", "hub", Status.OK, words))

    def _apply_part(self, role: Role, resources: Sequence[Resource]) -> None:
        machine = LocalMachine(role.name, self.shared)
        for resource in resources:
            if resource.id in self._failures:
                continue  # told when the run prepared
            if reason := self._stopped(role):
                self._report(role.name, resource.id, Status.SKIPPED, Change(reason))
                self.skipped.add(role.name)
            else:
                self._apply_resource(role, resource, machine)

    def _stopped(self, role: Role) -> str:
        if role.name in self.failed:
            return f"{role.name} has failed"
        for need in role.needs:
            if need in self.failed | self.skipped:
                return f"needs {need}, which {'has failed' if need in self.failed else 'was not finished'}"
        return "the driver has gone" if self.channel.gone.is_set() else ""

    def _apply_resource(self, role: Role, resource: Resource, machine: LocalMachine) -> None:
        began = time.monotonic()
        try:
            change = None if resource.id in self._held else resource.check(machine)
            if change is None:
                change = resource.revive(machine)
                status = Status.OK if change is None else Status.CHANGED
                self._report(role.name, resource.id, status, change, time.monotonic() - began)
            else:
                machine.say(change.summary)
                for service in machine.peers(Service):
                    if resource.id in service.watches:
                        service.expect_change(machine, resource.id)
                resource.apply(machine)
                if rest := resource.check(machine):
                    raise Problem(
                        f"was applied, and still has to {rest.summary}", "this is a fault; report it"
                    )
                self._report(role.name, resource.id, Status.CHANGED, change, time.monotonic() - began)
            with self.shared.lock:
                self.state.record(role.name, resource)
        except Abandoned as error:
            self._report(role.name, resource.id, Status.SKIPPED, Change(error.what))
            self.skipped.add(role.name)
        except Exception as error:
            self._fail(role.name, resource.id, error)

    def generalize(self, files: Sequence[Mapping[str, Any]]) -> None:
        """Delete all that belongs to this one machine, the latest first; then place `files`."""
        self._sweep()
        self.state.tidy()
        for id_, applied in reversed(self.state.applied.items()):
            try:
                if gone := from_json(applied.resource).generalize(LocalMachine(applied.role, self.shared)):
                    self._report(applied.role, id_, Status.REMOVED, Change(gone))
            except Exception as error:
                self._fail(applied.role, id_, error)
        try:
            if not self.failed:
                for gone in generalize.generalize(LocalMachine("machine", self.shared), files):
                    self._report("machine", "machine", Status.REMOVED, Change(gone))
                self.state.forget_runs()
        except Exception as error:
            self._fail("machine", "machine", error)

    def _obsolete(self) -> list[tuple[str, Any]]:
        """The applied resources that are no longer wanted, the latest first."""
        names = {role.name for role in self.roles}
        return [
            (id_, applied)
            for id_, applied in reversed(self.state.applied.items())
            if id_ not in self.shared.resources and (self.complete or applied.role in names)
        ]

    def _remove_obsolete(self, waiting: list[tuple[str, Any]]) -> None:
        """Remove resources. One that has to stay until another is removed is tried a second time."""
        for report in (False, True):
            waiting = [entry for entry in waiting if not self._remove(*entry, report=report)]

    def _remove(self, id_: str, applied: Any, *, report: bool) -> bool:
        """Remove a resource. False when it needs a second try; with `report` it is reported as kept."""
        if self.channel.gone.is_set() or not self.is_complete:
            return True
        began = time.monotonic()
        machine = LocalMachine(applied.role, self.shared)
        try:
            resource = from_json(applied.resource)
            machine.say(f"removing {id_}")
            if reason := resource.remove(machine):
                if report:
                    self._report(applied.role, id_, Status.KEPT, Change(f"keep {id_} for now: {reason}"))
                return report
            self.state.forget(id_)
            self._report(applied.role, id_, Status.REMOVED, Change(f"remove {id_}"), time.monotonic() - began)
        except KeyError:
            self._report(applied.role, id_, Status.KEPT, Change(f"keep {id_}: an unknown kind of resource"))
        except Exception as error:
            self._fail(applied.role, id_, error)
        return True

    def _report(
        self, role: str, id_: str, status: Status, change: Change | None = None, seconds: float = 0.0
    ) -> None:
        with self._counting:
            self.count[status] += 1
            if status in (Status.CHANGED, Status.REMOVED):
                self.changed.append(id_)
        if change is not None:
            self.channel.emit(Result(role, id_, status, change.summary, change.diff, round(seconds, 3)))

    def _fail(self, role: str, id_: str, error: Exception) -> None:
        self.failed.add(role)
        self._failures.add(id_)
        if isinstance(error, OSError) and not isinstance(error, Problem):
            what, hint, trace = explain_os_error(error)
        elif isinstance(error, Problem):
            what, hint, trace = error.what, error.hint, ""
        else:
            what, hint = f"{type(error).__name__}: {error}", "this is a fault; report it with -vv"
            trace = "".join(traceback.format_exception(error))
        if NO_SPACE in what:
            hint = SPACE_HINT
        elif NOT_YET.search(what):
            hint = time.strftime(CLOCK_HINT, time.gmtime())
        with self._counting:
            self.count[Status.FAILED] += 1
        self.channel.emit(Result(role, id_, Status.FAILED, what, hint=hint, trace=trace))

    def _write_journal(self) -> None:
        entry = {
            "by": os.environ.get("SUDO_USER") or "root",
            "changed": self.changed,
            "failed": sorted(self.failed),
            "skipped": sorted(self.skipped - self.failed),
        }
        try:
            self.state.journal(entry)
        except OSError as error:
            self._fail("journal", "journal", error)


def explain_os_error(error: OSError) -> tuple[str, str, str]:
    """The message, hint and traceback of an error."""
    place = f"{error.filename}: " if error.filename else ""
    hint = OS_ERROR_HINTS.get(error.errno or 0, "")
    return f"{place}{error.strerror or error}", hint, "".join(traceback.format_exception(error))
