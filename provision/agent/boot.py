"""The end of a boot, which a run on a host that has just started waits for.

While units start, ports change hands: an engine with live-restore, for example, takes the ports of containers
that a power cut has ended, and releases them a moment later. A check in that moment sees a passing state.
"""

from __future__ import annotations

import subprocess

from .channel import Channel
from .events import Say

BOOT_TIMEOUT = 120  # seconds; a run does not wait for a unit that hangs longer
STATE_COMMAND = ("systemctl", "is-system-running")


def wait(channel: Channel) -> None:
    """Wait until systemd says that the boot is over, with or without failures, or until the time-out."""
    if not starting(ask(*STATE_COMMAND)):
        return
    channel.emit(Say("boot", "waiting until the host has started"))
    ask("timeout", str(BOOT_TIMEOUT), *STATE_COMMAND, "--wait")


def starting(answer: str) -> bool:
    """True while the host starts; `answer` is that of is-system-running, see systemctl(1)."""
    return answer.strip() in ("initializing", "starting")


def ask(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False).stdout
