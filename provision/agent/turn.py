"""The turn of a run: one at a time on a host, and none beside what a killed one has left at work."""

from __future__ import annotations

import contextlib
import glob
import os
import threading
import time

from .channel import Channel
from .state import Busy, State

FIRST_BOOT = "first boot"  # part of the text that the lock's holder writes, as is the next one
ENDING = "its driver has gone"
NOTICED_AFTER = 3.0  # seconds until the agent of a killed driver has surely noticed
LOOK_EVERY = 0.2  # seconds
ORPHANS_TIMEOUT = 300.0  # seconds
MARK = "HUBWRIGHT_RUN"  # in the environment of all programs that a run starts: its process


def take(channel: Channel, alone: bool, timeout: float) -> None:
    """Take the host's lock, or raise Busy.

    A first boot waits for its turn, and all runs wait for a first boot. A run whose driver has gone ends
    soon, and is waited for; then for programs of a killed run, at most `timeout` seconds.
    """
    if _wait_for_lock(channel, alone):
        _wait_for_orphans(channel, timeout)
    os.environ[MARK] = _mark(os.getpid())
    threading.Thread(target=_note_end, args=(channel,), daemon=True).start()


def leave() -> None:
    """Note that this run ends by itself, if it has had a turn."""
    if os.environ.get(MARK) == _mark(os.getpid()):
        State.leave()


def _wait_for_lock(channel: Channel, alone: bool) -> bool:
    """Wait for the lock. Returns True when the run that held it was killed."""
    told, began = False, time.monotonic()
    while True:
        try:
            return State.lock(FIRST_BOOT if alone else "")
        except Busy as busy:
            ends = ENDING in busy.holder
            waits = alone or FIRST_BOOT in busy.holder or ends
            if channel.gone.is_set() or not (waits or time.monotonic() - began < NOTICED_AFTER):
                raise
            if waits and not told:
                verb = "taking over from the run that ends" if ends else "waiting for the run that is at work"
                channel.say(f"{verb} ({busy.holder})")
                told = True
        time.sleep(LOOK_EVERY)


def _note_end(channel: Channel) -> None:
    """Tell the next run that this one ends, so that it waits and is not refused."""
    channel.gone.wait()
    State.note(ENDING)


def _wait_for_orphans(channel: Channel, timeout: float) -> None:
    """Wait for programs of killed runs: what they write must not appear in the middle of this run."""
    told, deadline = "", time.monotonic() + timeout
    while names := ", ".join(sorted(_orphans())):
        if time.monotonic() > deadline:
            channel.say(f"going on beside {names}, which a killed run has started and which did not end")
            return
        if names != told and not channel.gone.is_set():
            channel.say(f"waiting for {names}, which a killed run has started")
            told = names
        if channel.gone.is_set():
            return
        time.sleep(LOOK_EVERY)


def _orphans() -> set[str]:
    """`name (pid n)` of each program that was started by a run which is no more."""
    found, here = set(), os.readlink("/proc/self/ns/pid")
    for folder in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            with open(f"{folder}/environ", "rb") as file:
                run = parse_mark(file.read())
            elsewhere = os.readlink(f"{folder}/ns/pid") != here  # in a container that is a host of its own
            if run and not elsewhere and _mark(int(run.partition(".")[0])) != run:
                with open(f"{folder}/comm", encoding="utf-8") as file:
                    found.add(f"{file.read().strip()} (pid {os.path.basename(folder)})")
    return found


def parse_mark(environ: bytes) -> str:
    """The value of MARK in the text of /proc/PID/environ, or nothing."""
    for entry in environ.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == MARK.encode():
            return value.decode(errors="replace")
    return ""


def _mark(pid: int) -> str:
    """A name of the process that no later one gets; empty when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return f"{pid}.{parse_start(file.read())}"
    except OSError:
        return ""


def parse_start(stat: str) -> str:
    """The start of a process, from the text of /proc/PID/stat; see proc_pid_stat(5)."""
    return stat.rpartition(")")[2].split()[19]
