"""The files that make a machine a hub at its first boot, without a driver. Once it is one, they are deleted.

provision/first_boot puts them there: by cloud-init's user-data, or into an image.
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
# In the order in which they are deleted; the folder comes last.
FILES = (PER_BOOT, *(f"{place}/{unit}.service" for unit in (UNIT, KEYS_UNIT) for place in (WANTED, UNITS)))


def is_due() -> bool:
    """True while the first boot has not made this machine a hub yet."""
    return os.path.isdir(FOLDER)


def forget() -> None:
    """Delete the first-boot files: this host is a hub now, and the next boot must not apply older settings.

    There is no daemon-reload: the unit may not have ended yet, and without its file systemd would apply its
    default time-out to it, counted from its start.
    """
    if not is_due():
        return
    for path in FILES:
        unlink(path)
    shutil.rmtree(FOLDER)  # last: a run that is cut off before this deletes the rest again
