"""The operator's own commands around an apply, on this computer: [extend] before_apply and after_apply."""

from __future__ import annotations

import shlex
import subprocess
from collections import deque
from collections.abc import Iterable
from os import environ

from provision.errors import HubwrightError
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.tools.process import HERE, LAST_LINES

HOSTS = "HUBWRIGHT_HOSTS"
CONFIG = "HUBWRIGHT_CONFIG"


def run_all(
    settings: Settings, key: str, commands: Iterable[str], hosts: Iterable[str], reporter: Reporter
) -> None:
    """Run commands in hub.toml's folder, one after the other. Raises HubwrightError at the first that fails.

    They find the hosts' names in HUBWRIGHT_HOSTS, with blanks between them, and hub.toml in HUBWRIGHT_CONFIG.
    """
    around = {**environ, HOSTS: " ".join(hosts), CONFIG: str(settings.root / settings.file)}
    for command in commands:
        last: deque[str] = deque(maxlen=LAST_LINES)
        with reporter.step(f"{key}: {command}") as step:
            try:
                process = subprocess.Popen(
                    shlex.split(command),
                    cwd=settings.root,
                    env=around,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                raise _failed(key, command, f"cannot be started: {error.strerror}", ()) from None
            with process:
                for line in process.stdout or ():
                    last.append(line.rstrip())
                    step.say(line.rstrip())
            if process.returncode:
                raise _failed(key, command, f"ended with exit code {process.returncode}", last)


def _failed(key: str, command: str, reason: str, last: Iterable[str]) -> HubwrightError:
    before = key == "before_apply"
    return HubwrightError(
        "\n".join([f"{key}: `{command}` {reason}", *last]),
        where=HERE,
        hint="correct that command; no host was changed"
        if before
        else "correct that command; the hosts are as hub.toml says, and the next apply runs it again",
    )
