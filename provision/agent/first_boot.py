"""What makes a machine a hub at its first boot, without a driver. It goes once that has come true.

provision/unattended puts it there: by cloud-init's user-data, or into an image.
"""

from __future__ import annotations

import os
import shutil

from .resources.fs import unlink

UNIT = "hubwright-first-boot"
KEYS_UNIT = "hubwright-host-keys"
FOLDER = "/var/lib/hubwright-first-boot"
UNITS = "/etc/systemd/system"
WANTED = f"{UNITS}/multi-user.target.wants"
UNIT_FILE = f"{UNITS}/{UNIT}.service"
KEYS_UNIT_FILE = f"{UNITS}/{KEYS_UNIT}.service"
PER_BOOT = "/var/lib/cloud/scripts/per-boot/hubwright"  # cloud-init runs it
# In the order in which they go; the folder comes last.
FILES = (PER_BOOT, *(f"{place}/{unit}.service" for unit in (UNIT, KEYS_UNIT) for place in (WANTED, UNITS)))


def is_due() -> bool:
    return os.path.isdir(FOLDER)


def forget() -> None:
    """The machine is what it should be, by whosever run: the next boot must not bring older settings back.

    systemd does not read its units again for that. The unit may still be at its end, and without a file
    systemd would hold its own time-out against it, from when it began.
    """
    if not is_due():
        return
    for path in FILES:
        unlink(path)
    shutil.rmtree(FOLDER)  # the last: a run that is cut off here does this again
