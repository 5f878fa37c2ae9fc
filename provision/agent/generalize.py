"""Files of one machine that are not the hub's: deleted before an image of the machine is made.

At the first boot systemd makes a new machine id, cloud-init or a unit of ours new SSH host keys, and the
agent all that belongs to the hub.
"""

from __future__ import annotations

import base64
import glob
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .resources import Machine
from .resources.fs import lstat, unlink

MACHINE_ID = "/etc/machine-id"
JOURNAL = "/var/log/journal"
# A name for people, then patterns of paths.
MACHINE_SPECIFIC = (
    ("the SSH host keys", "/etc/ssh/ssh_host_*"),
    ("keys that may log in", "/root/.ssh/authorized_keys", "/home/*/.ssh/authorized_keys"),
    ("what was typed", "/root/.bash_history", "/home/*/.bash_history"),
    ("D-Bus's copy of the machine's id", "/var/lib/dbus/machine-id"),
    ("leases of addresses", "/var/lib/dhcp/*", "/var/lib/systemd/network/*", "/run/systemd/netif/leases/*"),
    ("logs", "/var/log/*.log", "/var/log/*/*.log", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog"),
    ("seeds of randomness", "/var/lib/systemd/random-seed", "/boot/efi/loader/random-seed"),
)


def generalize(machine: Machine, files: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Delete all that must differ between copies of this machine. Yields a line for each kind.

    `files`: path, mode and content (base64) of the files for the first boot; units among them are enabled.
    The machine goes on working, but new logins over SSH may be refused from now on.
    """
    if shutil.which("cloud-init"):
        machine.run(["cloud-init", "clean", "--logs"])
        yield "take away what cloud-init has done"
    machine.run(["apt-get", "clean"])
    for file in files:
        _place(file)
    machine.run(["systemctl", "daemon-reload"])
    for name in (os.path.basename(file["path"]) for file in files if file["path"].endswith(".service")):
        machine.run(["systemctl", "enable", name])
    kept = {file["path"] for file in files}
    for name, *patterns in MACHINE_SPECIFIC:
        there = [path for pattern in patterns for path in glob.glob(pattern) if path not in kept]
        for path in filter(os.path.isfile, there):
            unlink(path)
        if there:
            yield f"take away {name}"
    if os.path.isdir(JOURNAL):
        machine.run(["journalctl", "--relinquish-var"])  # until the next boot it is in memory only
        for path in glob.glob(f"{JOURNAL}/*"):
            shutil.rmtree(path)
        yield "take away the journal"
    with open(MACHINE_ID, "w", encoding="ascii"):  # empty, it is made at the next boot; see machine-id(5)
        pass
    yield "take away the machine's id"
    os.sync()


def _place(file: Mapping[str, Any]) -> None:
    folder = os.path.dirname(file["path"])
    os.makedirs(folder, exist_ok=True)
    unlink(file["path"])
    handle = os.open(file["path"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, file["mode"])
    with os.fdopen(handle, "wb") as target:
        target.write(base64.b64decode(file["content"]))
    status = lstat(folder)
    assert status is not None
    os.chown(file["path"], status.st_uid, status.st_gid)
