"""The process that relays this computer's ports to a virtual machine: its start and its end."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from provision.errors import HubwrightError
from provision.tools.process import HERE
from provision.tools.project import PROJECT

END_TIMEOUT = 5.0  # seconds for a relay to notice that its file is gone


class Forwarding:
    """The relay of one machine. It ends by itself when the file `target` is deleted or replaced."""

    def __init__(self, ports: Iterable[tuple[int, int]], lock: Path, target: Path) -> None:
        self._pairs = [f"{here}:{there}" for here, there in ports]
        self._lock = lock
        self._target = target

    def start(self) -> None:
        """Start the relay. Raises HubwrightError when it cannot have its ports."""
        program = [sys.executable, "-m", "provision.machines.relay", str(self._lock), str(self._target)]
        process = subprocess.Popen(
            [*program, *self._pairs],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        with process.stdout as answer:
            said = answer.readline().decode(errors="replace").strip()
        if said != "ready":
            raise HubwrightError(
                said or "the ports could not be forwarded",
                where=HERE,
                hint="`ss -ltnp` shows the programs with ports; or choose another [vm] port in site.toml",
            )

    def runs(self) -> bool:
        """True while a relay holds the lock."""
        if not self._lock.exists():
            return False
        with self._lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def wait_for_end(self) -> None:
        """Wait until no relay runs any more, after its file was deleted."""
        end = time.monotonic() + END_TIMEOUT
        while self.runs() and time.monotonic() < end:
            time.sleep(0.1)
        self._lock.unlink(missing_ok=True)
