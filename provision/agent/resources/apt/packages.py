"""Packages of the distribution, through apt."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import grp
import os
import re
import shutil
import threading
import time
from dataclasses import dataclass

from ..base import Change, CommandFailed, Machine, Problem, Resource
from ..fs import unlink

LISTS = "/var/lib/apt/lists"
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")
LISTS_FRESH_FOR = 6 * 3600  # seconds
LIST_PACKAGES = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\n"]
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
INSTALL = (
    *("apt-get", "install", "-qy", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"),
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
)

one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class AptPackages(Resource):
    """A set of packages that one purpose needs.

    `unless` names programs that replace the set when others have installed all of them (docker-ce's in place
    of docker.io's). `data`: paths that the packages' programs fill. `groups`: those that
    a purge leaves behind. Removal purges what came with the installation, dependencies, new data and groups
    included, and nothing that was there before. A package that leaves the set is removed only with the set.
    Packages of others stay: an installation that would remove some is a Problem, which a plan already shows.
    `in_use`: patterns of files that show that others use the packages; while one exists, all stays.
    """

    name: str
    packages: tuple[str, ...]
    unless: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    in_use: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"packages:{self.name}"

    def check(self, machine: Machine) -> Change | None:
        if self.unless and not machine.claims(self) and all(map(shutil.which, self.unless)):
            return None
        missing = self._missing(machine)
        if missing:
            with contextlib.suppress(CommandFailed):  # without package lists apt cannot tell yet
                self._refuse_removals(machine, missing)
        return Change(f"install {', '.join(missing)}") if missing else None

    def apply(self, machine: Machine) -> None:
        with one_at_a_time:
            wait_for_apt(machine)
            if not _lists_are_fresh():
                machine.say("reading the package lists")
                machine.run(["apt-get", "update", "-q"], env=APT_ENVIRONMENT, watch=True)
            try:
                self._install(machine)
            except CommandFailed as failure:
                if "dpkg --configure -a" in failure.output:  # an earlier run was killed in the middle
                    machine.run(["dpkg", "--configure", "-a"], env=APT_ENVIRONMENT, watch=True)
                elif not re.search(r"404|Unable to (locate|fetch)", failure.output):
                    raise
                machine.run(["apt-get", "update", "-q"], env=APT_ENVIRONMENT, watch=True)
                self._install(machine)
        machine.invalidate("dpkg")

    def remove(self, machine: Machine) -> str | None:
        ours = machine.claims(self).get("installed", [])
        if ours and (used := [path for pattern in self.in_use for path in sorted(glob.glob(pattern))]):
            return f"they are in use, by {used[0]}"
        present = parse_dpkg(machine.run(LIST_PACKAGES), complete=False) & set(ours)
        if present:
            with one_at_a_time:
                wait_for_apt(machine)
                machine.run(["dpkg", "--configure", "-a"], env=APT_ENVIRONMENT, watch=True)
                simulate = ["apt-get", "purge", "-qy", "--simulate", *sorted(present)]
                others = parse_removals(machine.run(simulate, env=APT_ENVIRONMENT)) - set(ours)
                if others:
                    return f"packages of others need them: {', '.join(sorted(others))}"
                machine.run(["apt-get", "purge", "-qy", *sorted(present)], env=APT_ENVIRONMENT, watch=True)
            machine.invalidate("dpkg")
        for path in machine.claims(self).get("data", []):
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                unlink(path)
        empty = {entry.gr_name for entry in grp.getgrall() if not entry.gr_mem}
        for group in empty.intersection(machine.claims(self).get("groups", [])):
            machine.run(["groupdel", group])
        return None

    def _missing(self, machine: Machine) -> list[str]:
        return sorted(set(machine.packages(self.packages)) - installed(machine))

    def _refuse_removals(self, machine: Machine, missing: list[str]) -> str:
        """What apt says that it would do. Raises Problem when it would remove a package."""
        simulated = machine.run([*INSTALL, "--simulate", *missing], env=APT_ENVIRONMENT)
        removed = parse_removals(simulated)
        if removed:
            raise Problem(
                f"apt would remove {', '.join(sorted(removed))} to install {', '.join(missing)}",
                "remove them if nothing needs them, or install what they lack from where they came",
            )
        return simulated

    def _install(self, machine: Machine) -> None:
        missing = self._missing(machine)
        simulated = self._refuse_removals(machine, missing)
        earlier = machine.claims(self).get("installed", [])
        data = [path for path in self.data if not os.path.exists(path)]
        groups = sorted(set(self.groups) - {entry.gr_name for entry in grp.getgrall()})
        machine.claim(
            self,
            installed=sorted({*earlier, *parse_simulation(simulated)}),
            data=machine.claims(self).get("data", data),
            groups=machine.claims(self).get("groups", groups),
        )
        machine.say(f"installing {', '.join(missing)}")
        machine.run([*INSTALL, "--no-remove", *missing], env=APT_ENVIRONMENT, watch=True)


def installed(machine: Machine) -> set[str]:
    """Names of all packages that are completely installed."""
    return machine.cached("dpkg", lambda: parse_dpkg(machine.run(LIST_PACKAGES)))


def parse_dpkg(text: str, *, complete: bool = True) -> set[str]:
    """Package names from lines of `ii <tab>name`.

    Only completely installed ones; with `complete=False` also half-installed ones and remains of removals.
    """
    rows = (line.split("\t") for line in text.splitlines() if "\t" in line)
    return {name for state, name in rows if (state.strip() == "ii" if complete else state[:2] != "un")}


def parse_simulation(text: str) -> set[str]:
    """New packages from `apt-get --simulate`: `Inst name (version …)`; upgrades carry `[old version]`."""
    return set(re.findall(r"^Inst (\S+) \(", text, re.MULTILINE))


def parse_removals(text: str) -> set[str]:
    """Packages that would go, from `apt-get --simulate`: `Remv name [version]`, or `Purg`."""
    return {name.partition(":")[0] for name in re.findall(r"^(?:Remv|Purg) (\S+)", text, re.MULTILINE)}


def wait_for_apt(machine: Machine) -> None:
    """Wait until no other process holds apt's locks; Problem after the run's `apt_lock_wait` seconds."""
    limit = float(machine.option("apt_lock_wait"))
    deadline = time.monotonic() + limit
    told = False
    while holder := _lock_holder():
        if time.monotonic() > deadline:
            raise Problem(
                f"apt's lock has been held for {limit:.0f} s by {holder}",
                "wait for it to end (often unattended-upgrades), or raise [deploy] apt_lock_wait",
            )
        if not told:
            machine.say(f"waiting for {holder}, which holds apt's lock (at most {limit:.0f} s)")
            told = True
        time.sleep(0.5)


def _lock_holder() -> str:
    """`name (pid n)` of the process that holds one of apt's locks, or nothing. Keeps no lock itself."""
    for path in LOCKS:
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with open("/proc/locks", encoding="ascii") as table:
                return parse_lock_holder(table.read(), os.fstat(handle).st_ino)
        finally:
            os.close(handle)
    return ""


def parse_lock_holder(table: str, inode: int) -> str:
    """The process that holds the POSIX lock on `inode`, from the text of /proc/locks (see proc_locks(5))."""
    for line in table.splitlines():
        columns = line.split()
        if "->" not in columns and columns[5].endswith(f":{inode}"):
            return f"{_program(columns[4])} (pid {columns[4]})"
    return "another process"


def _program(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "another process"


def _lists_are_fresh() -> bool:
    lists = glob.glob(f"{LISTS}/*_Packages*")
    return bool(lists) and max(map(os.path.getmtime, [*lists, LISTS])) > time.time() - LISTS_FRESH_FOR
