"""The relay from this computer's ports to a virtual machine: started, and looked after."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time

from provision.errors import HubwrightError
from provision.machines.paths import relay_lock, target_file
from provision.settings import Settings
from provision.tools.process import HERE
from provision.tools.project import PROJECT

PATIENCE = 5.0  # seconds for a relay to notice that its file has gone


def ports(settings: Settings) -> tuple[tuple[int, int], ...]:
    """Port here and port in the machine; the hub's own first."""
    return ((settings.vm.port, settings.hub.port), *settings.vm.forwards)


def start(settings: Settings) -> None:
    """A relay, which ends by itself when `target_file` goes or is written anew."""
    pairs = [f"{here}:{there}" for here, there in ports(settings)]
    program = [
        sys.executable,
        "-m",
        "provision.machines.relay",
        str(relay_lock(settings)),
        str(target_file(settings)),
    ]
    process = subprocess.Popen(
        [*program, *pairs],
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
            hint="`ss -ltnp` shows who has a port; or choose another [vm] port in site.toml",
        )


def runs(settings: Settings) -> bool:
    lock = relay_lock(settings)
    if not lock.exists():
        return False
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_for_end(settings: Settings) -> None:
    """Returns when no relay runs any more, after `target_file` has gone."""
    end = time.monotonic() + PATIENCE
    while runs(settings) and time.monotonic() < end:
        time.sleep(0.1)
    relay_lock(settings).unlink(missing_ok=True)
