"""End a run at a chosen boundary. This file becomes a module of the agent in a bundle of the tests' own.

A boundary is a named moment: before and after the work on a resource, before, in and after each program that
it starts, and before and after each step that changes a file. The run ends at the first one that is not in
`PLAN["passed"]`.

A power cut is approximated: what was written since the last sync and was not synced by itself is emptied, and
a rename is undone unless its folder was synced after it. POSIX allows both. Not imitated: writes that arrive
in part, links and folders that are lost, and what the distribution's programs and the engine write elsewhere.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

PLAN: dict[str, Any] = {}
NOTE = "/var/tmp/hubwright-boundary"
ROOTS = (
    "/etc/docker",
    "/etc/jupyterhub",
    "/etc/ssl",
    "/etc/systemd/system",
    "/opt",
    "/srv",
    "/usr/local",
    "/var/lib/hubwright",
)
RANDOM = re.compile(
    r"(?<=\.hubwright-)[a-z0-9_]{8}|(?<=/run/hubwright-agent/)[0-9a-f.]+|(?<=hubwright-boundary).*|\.part\b"
)

current = threading.local()
one_at_a_time = threading.RLock()
began = time.time_ns()
synced_at = began
synced: dict[tuple[int, int], int] = {}  # device and inode → time of change when it was synced
renamed: list[tuple[str, str, bytes | None]] = []  # not synced yet: from, to, and what was there before
kernel = {name: getattr(os, name) for name in ("replace", "fsync", "sync", "unlink", "symlink", "mkdir")}


def boundary(what: str) -> None:
    """End the run here, unless an earlier run has ended here or this boundary is not in the sample."""
    place = getattr(current, "resource", "")
    name = RANDOM.sub("*", f"{place}: {what}" if place else what)
    with one_at_a_time:
        if name in PLAN["passed"] or zlib.crc32(name.encode()) % PLAN["every"]:
            return
        if PLAN["how"] == "record" or PLAN.get("ended"):
            return
        PLAN["ended"] = True
        with open(NOTE, "w", encoding="utf-8") as file:
            file.write(name)
            file.flush()
            kernel["fsync"](file.fileno())
        ENDS[PLAN["how"]]()


def end_agent() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end_driver() -> None:
    """Tell the driver of the tests to kill itself; this run goes on as one whose driver has gone."""
    say("end")
    time.sleep(0.5)


def end_ssh() -> None:
    """Kill the processes of the SSH daemon that carry this run."""
    process, parents = os.getpid(), []
    while process > 1:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            name, rest = file.read().rpartition(")")[::2]
        parent = int(rest.split()[1])
        if "(sshd" in name and parent != 1:
            parents.append(process)
        process = parent
    for each in parents:
        os.kill(each, signal.SIGKILL)
    time.sleep(0.5)


def cut_power() -> None:
    """Lose what is not on the disk. The test switches the host off; nothing goes on until then."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb") as file:
                ours = MARK in file.read().split(b"\0")
            if ours and int(pid) != os.getpid():
                os.kill(int(pid), signal.SIGSTOP)
    for path in unsynced():
        os.truncate(path, 0)
    for source, target, before in reversed(renamed):
        with suppress(FileNotFoundError):
            os.rename(target, source)
        if before is not None:
            with open(target, "wb") as file:
                file.write(before)
    kernel["sync"]()
    say("end")
    while True:
        time.sleep(60)


def unsynced() -> Iterator[str]:
    """Files that were written in this run and may not be on the disk."""
    for root in ROOTS:
        for folder, _, names in os.walk(root):
            for path in (os.path.join(folder, name) for name in names):
                with suppress(FileNotFoundError):
                    found = os.lstat(path)
                    late = found.st_mtime_ns > synced_at and os.path.isfile(path) and not os.path.islink(path)
                    if late and synced.get((found.st_dev, found.st_ino)) != found.st_mtime_ns:
                        yield path


def say(text: str) -> None:
    sys.stdout.buffer.write(json.dumps({"event": "say", "role": "boundary", "text": text}).encode() + b"\n")
    sys.stdout.buffer.flush()


ENDS: dict[str, Callable[[], None]] = {
    "agent": end_agent,
    "driver": end_driver,
    "ssh": end_ssh,
    "power": cut_power,
}
MARK = b"HUBWRIGHT_TEST_RUN=%d" % os.getpid()


# --- the steps that change files ------------------------------------------------------------------


def replace(source: str, target: str, **options: Any) -> None:
    boundary(f"before the rename to {target}")
    before = None
    if os.path.isfile(target) and not os.path.islink(target):
        with open(target, "rb") as file:
            before = file.read()
    kernel["replace"](source, target, **options)
    renamed.append((source, target, before))
    boundary(f"after the rename to {target}")


def fsync(handle: int) -> None:
    path = os.readlink(f"/proc/self/fd/{handle}")
    boundary(f"before the sync of {path}")
    kernel["fsync"](handle)
    found = os.fstat(handle)
    synced[found.st_dev, found.st_ino] = found.st_mtime_ns
    renamed[:] = [entry for entry in renamed if os.path.dirname(entry[1]) != path]


def sync() -> None:
    global synced_at
    now = time.time_ns()
    boundary("before the sync of all")
    kernel["sync"]()
    synced_at = now
    renamed.clear()


def unlink(path: str, **options: Any) -> None:
    if "dir_fd" not in options:  # else it is one of a whole tree
        boundary(f"before the removal of {path}")
    kernel["unlink"](path, **options)


def symlink(source: str, target: str, **options: Any) -> None:
    kernel["symlink"](source, target, **options)
    boundary(f"after the link {target}")


def mkdir(path: str, *options: Any, **more: Any) -> None:
    kernel["mkdir"](path, *options, **more)
    boundary(f"after the folder {path}")


# --- resources and their programs -----------------------------------------------------------------


@contextmanager
def at(resource: str) -> Iterator[None]:
    before, current.resource = getattr(current, "resource", ""), resource
    try:
        yield
    finally:
        current.resource = before


def around(kind: Any, verb: str) -> None:
    work = getattr(kind, verb)

    def with_boundaries(self: Any, machine: Any) -> Any:
        with at(f"{verb} {self.id}"):
            boundary("before")
            result = work(self, machine)
            boundary("after")
            return result

    setattr(kind, verb, with_boundaries)


def popen(argv: Any, *options: Any, **more: Any) -> Any:
    words = " ".join(argv[:2])
    working = bool(getattr(current, "resource", ""))
    if working:
        boundary(f"before `{words}`")
    process = start_process(argv, *options, **more)
    if working and (os.path.basename(argv[0]), *argv[1:2]) not in QUICK:
        time.sleep(PLAN["into"] if f"in `{words}`" not in PLAN["passed"] else 0)
        boundary(f"in `{words}`")
    return process


QUICK = {("systemctl", "show"), ("docker", "image"), ("docker", "inspect"), ("docker", "network")}
start_process: Any = subprocess.Popen


def install() -> None:
    os.environ["HUBWRIGHT_TEST_RUN"] = str(os.getpid())
    for kind in importlib.import_module("agent.resources").KINDS.values():
        around(kind, "apply")
        around(kind, "remove")
    subprocess.Popen = popen  # type: ignore[assignment, misc]
    for step in (replace, fsync, sync, unlink, symlink, mkdir):
        setattr(os, step.__name__, step)


if PLAN:
    install()
