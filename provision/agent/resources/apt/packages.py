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
from collections.abc import Sequence
from dataclasses import dataclass

from ..base import Abandoned, Change, CommandFailed, Machine, Problem, Resource
from ..fs import read_text, unlink
from .words import advice, faulty, is_locked, trouble

LISTS = "/var/lib/apt/lists"
LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
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

    preparatory = True

    @property
    def id(self) -> str:
        return f"packages:{self.name}"

    def check(self, machine: Machine) -> Change | None:
        if self.unless and not machine.claims(self) and all(map(shutil.which, self.unless)):
            return None
        missing = self._missing(machine)
        if missing:
            _refuse_read_only()
            with contextlib.suppress(CommandFailed):  # without package lists apt cannot tell yet
                _refuse_removals(
                    machine.run([*INSTALL, "--simulate", *missing], env=APT_ENVIRONMENT), missing
                )
        return Change(f"install {', '.join(missing)}") if missing else None

    def apply(self, machine: Machine) -> None:
        told: list[str] = []
        with one_at_a_time:
            if not _lists_are_fresh():
                told = update(machine)
            try:
                try:
                    self._install(machine)
                except CommandFailed as failure:
                    if "dpkg --configure -a" in failure.output:  # an earlier run was killed in the middle
                        configure(machine)
                    elif not re.search(r"404|Unable to (locate|fetch)", failure.output):
                        raise
                    told = update(machine)
                    self._install(machine)
            except CommandFailed as failure:
                machine.invalidate("dpkg")
                if self._missing(machine):
                    raise explained(failure, told) from None
                others = ", ".join(faulty(failure.output)) or "others"
                machine.say(f"apt has trouble with packages that are not of this hub: {others}")
        machine.invalidate("dpkg")
        machine.invalidate("systemd")  # packages bring units

    def remove(self, machine: Machine) -> str | None:
        ours = machine.claims(self).get("installed", [])
        if ours and (used := [path for pattern in self.in_use for path in sorted(glob.glob(pattern))]):
            return f"they are in use, by {used[0]}"
        present = parse_dpkg(machine.run(LIST_PACKAGES), complete=False) & set(ours)
        if present:
            with one_at_a_time:
                configure(machine)
                simulate = ["apt-get", "purge", "-qy", "--simulate", *sorted(present)]
                others = parse_removals(run_apt(machine, simulate, watch=False)) - set(ours)
                if others:
                    return f"packages of others need them: {', '.join(sorted(others))}"
                try:
                    run_apt(machine, ["apt-get", "purge", "-qy", *sorted(present)])
                except CommandFailed as failure:
                    if parse_dpkg(machine.run(LIST_PACKAGES), complete=False) & present:
                        raise explained(failure) from None
            machine.invalidate("dpkg")
        machine.invalidate("systemd")  # packages bring units
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

    def _install(self, machine: Machine) -> None:
        missing = self._missing(machine)
        for resource in machine.peers(Resource):  # type: ignore[type-abstract]
            resource.note_before(machine)
        simulated = run_apt(machine, [*INSTALL, "--simulate", *missing], watch=False)
        _refuse_removals(simulated, missing)
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
        run_apt(machine, [*INSTALL, "--no-remove", *missing])


def _refuse_removals(simulated: str, missing: list[str]) -> None:
    """Raise Problem when apt, by the output of its simulation, would remove a package."""
    if removed := parse_removals(simulated):
        raise Problem(
            f"apt would remove {', '.join(sorted(removed))} to install {', '.join(missing)}",
            "remove them if nothing needs them, or install what they lack from where they came",
        )


def installed(machine: Machine) -> set[str]:
    """Names of all packages that are completely installed."""
    return machine.cached("dpkg", lambda: parse_dpkg(machine.run(LIST_PACKAGES)))


def parse_dpkg(text: str, *, complete: bool = True) -> set[str]:
    """Package names from lines of `ii <tab>name`.

    Only completely installed ones; with `complete=False` also half-installed ones and remains of removals.
    """
    rows = (line.split("\t") for line in text.splitlines() if "\t" in line)
    # The first letter is what is wanted (h: held), the second what is there, the third a fault.
    return {name for state, name in rows if (state[1:].strip() == "i" if complete else state[1:2] != "n")}


def parse_simulation(text: str) -> set[str]:
    """New packages from `apt-get --simulate`: `Inst name (version …)`; upgrades carry `[old version]`."""
    return set(re.findall(r"^Inst (\S+) \(", text, re.MULTILINE))


def parse_removals(text: str) -> set[str]:
    """Packages that would go, from `apt-get --simulate`: `Remv name [version]`, or `Purg`."""
    return {name.partition(":")[0] for name in re.findall(r"^(?:Remv|Purg) (\S+)", text, re.MULTILINE)}


def run_apt(machine: Machine, argv: list[str], *, watch: bool = True, interruptible: bool = False) -> str:
    """`machine.run` for apt and dpkg. Others may take a lock at any moment: they are waited for, in words."""
    deadline = time.monotonic() + float(machine.option("apt_lock_wait"))
    while True:
        wait_for_apt(machine)
        try:
            return machine.run(argv, env=APT_ENVIRONMENT, watch=watch, interruptible=interruptible)
        except CommandFailed as failure:
            if not is_locked(failure.output) or time.monotonic() > deadline:
                raise
        time.sleep(1)


def update(machine: Machine) -> list[str]:
    """Read the package lists. Returns apt's words about sources that fail: others may do."""
    machine.say("reading the package lists")
    try:
        told = trouble(run_apt(machine, ["apt-get", "update", "-q"], interruptible=True))
    except CommandFailed as failure:
        told = trouble(failure.output) or [failure.tail]
    for line in told:
        machine.say(f"apt goes on without a source: {line}")
    return told


def configure(machine: Machine) -> None:
    """Finish what was unpacked. A package that cannot be is left: it may be none that a hub needs."""
    try:
        run_apt(machine, ["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"])
    except CommandFailed as failure:
        machine.say(f"dpkg cannot finish {', '.join(faulty(failure.output)) or 'a package'}")


def explained(failure: CommandFailed, told: Sequence[str] = ()) -> Problem:
    """A failure of apt with the next step. `told`: its words about sources, which may be the reason."""
    more = [line for line in told if line not in failure.what]
    hint = advice(failure.output) if not more else advice("\n".join(more)) or advice(failure.output)
    return Problem("\n".join([failure.what, *more[-6:]]), hint)


def _refuse_read_only() -> None:
    """Raise Problem where packages can never be installed. Some hosts let apt itself remount /usr."""
    for path in ("/usr", "/var/lib/dpkg"):
        if os.path.isdir(path) and os.statvfs(path).f_flag & os.ST_RDONLY:
            if any("remount" in read_text(name) for name in glob.glob("/etc/apt/apt.conf.d/*")):
                continue
            raise Problem(
                f"{path} is mounted read-only, and packages have to be installed there",
                f"`mount -o remount,rw {path}` on the host, or a Pre-Invoke line of apt.conf that does so",
            )


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
        if machine.abandoned():
            raise Abandoned
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
