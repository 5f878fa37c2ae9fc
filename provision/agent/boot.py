"""A machine that has just been started settles first.

While units start, ports change hands: an engine with live-restore, for one, takes up again the ports of
containers that a power cut has ended, and lets go of them a moment later. Who looks then sees what does
not stay.
"""

from __future__ import annotations

import subprocess

from .channel import Channel
from .events import Say

PATIENCE = 120  # seconds; a unit that hangs longer is no reason to wait for it
ASK = ("systemctl", "is-system-running")


def wait(channel: Channel) -> None:
    """Returns when systemd says that the boot is over, whether or not all went well, or when patience is."""
    if not starting(ask(*ASK)):
        return
    channel.emit(Say("boot", "waiting until the machine has started"))
    ask("timeout", str(PATIENCE), *ASK, "--wait")


def starting(answer: str) -> bool:
    """See systemctl(1), is-system-running."""
    return answer.strip() in ("initializing", "starting")


def ask(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False).stdout
