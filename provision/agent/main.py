"""One run on the host: read the manifest, check every resource, and plan or apply.

Its events go to standard output, see events.py. An End is always the last.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any, BinaryIO

from . import boot, code_cache, distributions, first_boot, space, unattended
from .channel import Channel
from .events import End, Error, Status, has_failed
from .loop import Run, explain_os_error
from .machine import LocalMachine
from .resources import Problem
from .state import Busy, State

FIRST_BOOT = "first boot"  # part of the text that the lock's holder writes


def _take_turn(channel: Channel, alone: bool) -> None:
    """Take the host's lock. A first boot waits for it, and all runs wait for a first boot; else Busy."""
    told = False
    while True:
        try:
            return State.lock(FIRST_BOOT if alone else "")
        except Busy as busy:
            if channel.gone.is_set() or not (alone or FIRST_BOOT in busy.holder):
                raise
            if not told:
                channel.say(f"waiting for the run that is at work ({busy.holder})")
            told = True
        time.sleep(0.5)


def main(source: BinaryIO, sink: BinaryIO, manifest: dict[str, Any]) -> bool:
    """Make the run. Returns True when nothing failed; the events give the details."""
    began = time.monotonic()
    alone = manifest.get("unattended")
    channel = unattended.Journal(sink, alone["blobs"]) if alone else Channel(source, sink)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: channel.gone.set())
    os.environ.update(manifest["environment"])  # proxy and mirrors, for all programs of this run
    os.environ["DOCKER_HOST"] = "unix:///var/run/docker.sock"  # root's context may name another host's engine
    try:
        distribution = distributions.here()
        channel.emit(distributions.describe(distribution))
        if alone:  # a part of the boot itself
            unattended.complete(manifest)
        else:
            boot.wait(channel)
        if manifest["mode"] != "plan":
            _take_turn(channel, bool(alone))  # before any check: another run may be about to end
        state = State(manifest["state"])
        run = Run(manifest, channel, state, distribution)
        bare = any(role.resources for role in run.roles) and not state.applied
        if bare and manifest["mode"] != "generalize" and not (alone and not first_boot.is_due()):
            space.require(LocalMachine("machine", run.shared))
        if manifest["mode"] == "plan":
            run.plan()
        elif manifest["mode"] == "generalize":
            run.generalize(manifest["files"])
        elif alone and not first_boot.is_due():
            channel.say("another run has made this machine a hub")
        else:
            channel.listen(state)
            run.apply()
            if state.applied:
                code_cache.keep()
            else:
                code_cache.forget()
            if run.complete and run.is_complete:
                first_boot.forget()
        count: dict[str, int] = dict(run.count)
    except Problem as problem:
        channel.emit(Error(problem.what, problem.hint))
        count = {Status.FAILED: 1}
    except OSError as error:
        what, hint, _ = explain_os_error(error)
        channel.emit(Error(what, hint))
        count = {Status.FAILED: 1}
    channel.emit(End(count, round(time.monotonic() - began, 3)))
    return not has_failed(count)


def start(source: BinaryIO) -> None:
    """Start a run. The loader (provision/ssh/loader.py) calls this; its input still has the manifest."""
    os.umask(0o022)  # sudo may set a stricter one, and the hub's user has to read the files of a run
    size = int(source.readline())
    manifest = json.loads(source.read(size))
    well = main(source, sys.stdout.buffer, manifest)
    # A normal exit would wait a second for the thread that still reads standard input.
    # A driver learns from the events how the run ended; systemd has the exit code alone.
    os._exit(1 if manifest.get("unattended") and not well else 0)
