"""Files that systemd leaves behind when a unit has stopped."""

from __future__ import annotations

import os
import re
import shutil

from ..fs import unlink

RUN = "/run"


def clear(unit: str) -> None:
    """Delete the runtime directories of a unit, given its text: RuntimeDirectoryPreserve= may keep them."""
    for name in re.findall(r"^RuntimeDirectory=([\w.-]+)$", unit, re.MULTILINE):
        # DynamicUser= keeps the directory in the second place, and a link to it in the first.
        for path in (f"{RUN}/{name}", f"{RUN}/private/{name}"):
            if os.path.islink(path):
                unlink(path)
            else:
                shutil.rmtree(path, ignore_errors=True)
