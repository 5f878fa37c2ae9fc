"""The agent's own code on the host, for the runs to come: a host then compiles it once, not for each run.

It lies on a tmpfs, where a reboot ends it, in a folder that only root enters. The loader
(provision/ssh/loader.py) takes it from there when the digest of what was sent is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil

FOLDER = "/run/hubwright-agent"
KEPT = 2  # versions: a plan of an older one may still be running


def keep() -> None:
    """Extract the zip that this agent runs from, if it does. Python adds what it compiles."""
    archive = getattr(globals()["__loader__"], "archive", "")  # of zipimport.zipimporter
    if not archive:
        return
    import zipfile  # here: only a run of code that is new to the host needs it

    with contextlib.suppress(OSError):  # nothing depends on it
        os.makedirs(FOLDER, mode=0o700, exist_ok=True)
        with open(archive, "rb") as file:
            folder = os.path.join(FOLDER, hashlib.sha256(file.read()).hexdigest())
        if os.path.isdir(folder):
            return
        unfinished = f"{folder}.{os.getpid()}"
        with zipfile.ZipFile(archive) as code:
            code.extractall(unfinished)
        os.rename(unfinished, folder)
        by_age = sorted(os.scandir(FOLDER), key=lambda entry: entry.stat().st_mtime_ns)
        for entry in by_age[:-KEPT]:
            shutil.rmtree(entry.path, ignore_errors=True)


def forget() -> None:
    """Delete all of it: nothing of ours is on this host any more."""
    shutil.rmtree(FOLDER, ignore_errors=True)
