"""Files of units, and those that systemd leaves behind when a unit has stopped."""

from __future__ import annotations

import contextlib
import os
import re
import shutil

from ..fs import unlink, write_atomically

RUN = "/run"


def put(path: str, text: str) -> None:
    """Write a unit file or drop-in, or delete it when the text is empty, with an empty folder of drop-ins."""
    folder = os.path.dirname(path)
    if text:
        os.makedirs(folder, exist_ok=True)
        write_atomically(path, text, 0o644)
        return
    unlink(path)
    if folder.endswith(".d"):
        with contextlib.suppress(OSError):  # it does not exist, or holds files of others
            os.rmdir(folder)


def clear(unit: str) -> None:
    """Delete the runtime directories of a unit, given its text: RuntimeDirectoryPreserve= may keep them."""
    for name in re.findall(r"^RuntimeDirectory=([\w.-]+)$", unit, re.MULTILINE):
        # DynamicUser= keeps the directory in the second place, and a link to it in the first.
        for path in (f"{RUN}/{name}", f"{RUN}/private/{name}"):
            if os.path.islink(path):
                unlink(path)
            else:
                shutil.rmtree(path, ignore_errors=True)
