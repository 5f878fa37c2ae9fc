"""One run on the host: read the manifest, check every resource, and plan or apply.

Its events go to standard output, see events.py. An End is always the last.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from typing import Any, BinaryIO

from . import boot, code_cache, distributions, environment, first_boot, space, turn, unattended
from .channel import Channel
from .events import End, Error, Status, has_failed
from .loop import Run, explain_os_error
from .machine import LocalMachine
from .resources import Problem
from .state import State


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
            # Before any check: another run may be about to end.
            turn.take(channel, bool(alone), manifest["options"].get("apt_lock_wait", turn.ORPHANS_TIMEOUT))
        state = State(manifest["state"])
        run = Run(manifest, channel, state, distribution)
        fresh = any(role.resources for role in run.roles) and not state.applied
        if fresh:
            distributions.require_writable("/etc", "/opt", "/var/lib")
        if fresh and manifest["mode"] != "generalize" and not (alone and not first_boot.is_due()):
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
    except Exception as error:
        channel.emit(_explained(error))
        count = {Status.FAILED: 1}
    turn.leave()
    channel.emit(End(count, round(time.monotonic() - began, 3)))
    return not has_failed(count)


def _explained(error: Exception) -> Error:
    """The event for what has ended a run."""
    if isinstance(error, Problem):
        return Error(error.what, error.hint)
    if isinstance(error, OSError):
        what, hint, _ = explain_os_error(error)
        return Error(what, hint)
    traceback.print_exception(error)
    return Error(f"{type(error).__name__}: {error}", "this is a fault; report it with what `plan -vv` prints")


def _read_manifest(source: BinaryIO) -> dict[str, Any]:
    """The manifest that follows on the input. Problem when it is not there as a whole."""
    try:
        size = int(source.readline())
        text = source.read(size)
        if len(text) == size:
            found: dict[str, Any] = json.loads(text)
            return found
    except ValueError:  # the line is cut off, or the text is damaged
        pass
    raise Problem(
        "what was sent to the host arrived cut short",
        "see what stands between the host and its sender, a jump host for example, then repeat the command",
    )


def start(source: BinaryIO) -> None:
    """Start a run. The loader (provision/ssh/loader.py) calls this; its input still has the manifest."""
    environment.prepare()
    try:
        manifest = _read_manifest(source)
    except Problem as problem:
        Channel(source, sys.stdout.buffer).emit(Error(problem.what, problem.hint))
        os._exit(1)
    well = main(source, sys.stdout.buffer, manifest)
    # A normal exit would wait a second for the thread that still reads standard input.
    # A driver learns from the events how the run ended; systemd has the exit code alone.
    os._exit(1 if manifest.get("unattended") and not well else 0)
