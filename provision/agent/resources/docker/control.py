"""Restarts and reloads of dockerd, and its own words about them."""

from __future__ import annotations

import contextlib
import re
import time

from ..base import CommandFailed, Machine, Problem
from .daemon import SOCKET, UNIT

LOG = ("journalctl", "--no-pager", "-q", "-o", "cat", "-u", UNIT)
LOADED = "Reloaded configuration"  # dockerd says so
RELOAD_TIMEOUT = 5.0  # seconds
POLL_EVERY = 0.1  # seconds
MOST_WORDS = 6  # lines
OF_SYSTEMD = re.compile(r"docker\.service: |(Start|Stopp|Reload|Fail)(ing|ed) |(Started|Stopped|Reloaded) ")


def restart(machine: Machine) -> None:
    """Start the engine, also after it has failed as often as systemd tries it. Raises CommandFailed."""
    for unit in (UNIT, SOCKET):
        with contextlib.suppress(CommandFailed):  # one that is not there, or has not failed
            machine.run(["systemctl", "reset-failed", unit])
    machine.run(["systemctl", "restart", UNIT])
    machine.invalidate("systemd")
    machine.invalidate("dockerd")


def load(machine: Machine) -> None:
    """Let a running engine read its settings file. Problem with its words when it refuses that.

    `systemctl reload` ends well in any case. The engine runs on with what it had.
    """
    before = mark(machine)
    machine.run(["systemctl", "reload", UNIT])
    end = time.monotonic() + RELOAD_TIMEOUT
    while True:
        log = _log_since(machine, before)
        refused = [words for words in parse_words(log) if words.startswith("unable to configure")]
        if refused:
            raise Problem("dockerd refuses its settings:\n" + "\n".join(refused))
        if LOADED in log or time.monotonic() > end:
            return
        time.sleep(POLL_EVERY)


def mark(machine: Machine) -> str:
    """The end of the engine's log, for `words_since`."""
    with contextlib.suppress(CommandFailed):
        found = re.search(r"^-- cursor: (\S+)", machine.run([*LOG, "-n", "1", "--show-cursor"]), re.MULTILINE)
        return found[1] if found else ""
    return ""


def words_since(machine: Machine, marked: str) -> list[str]:
    """The engine's own words about why it ended."""
    with contextlib.suppress(CommandFailed):
        machine.run(["journalctl", "--sync"])
    return parse_words(_log_since(machine, marked))


def _log_since(machine: Machine, marked: str) -> str:
    with contextlib.suppress(CommandFailed):
        return machine.run([*LOG, *((f"--after-cursor={marked}",) if marked else ())])
    return ""


def parse_words(log: str) -> list[str]:
    """The last lines of dockerd's log that tell a reason, each once, without their times."""
    found: dict[str, None] = {}
    for line in log.splitlines():
        level = re.search(r"\blevel=(\w+)", line)
        if (level and level[1] not in ("fatal", "error")) or OF_SYSTEMD.match(line):
            continue
        message = re.search(r'\bmsg="((?:[^"\\]|\\.)*)"', line)
        found[message[1].replace('\\"', '"') if message else line] = None
    return list(found)[-MOST_WORDS:]
