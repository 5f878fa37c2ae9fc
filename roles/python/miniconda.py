"""conda on the host, and the hub's interpreter and Node made of its packages."""

from __future__ import annotations

import hashlib
import json

from provision.agent.resources import CondaPrefix, CondaPython
from provision.settings import Downloads, Python
from provision.settings.installers import installers
from roles.shared import paths


def prefix(python: Python, downloads: Downloads) -> CondaPrefix:
    return CondaPrefix(paths.CONDA, installers(python, downloads))


def interpreter(python: Python) -> CondaPython:
    digests = sorted(digest for _, _, digest in installers(python, Downloads()))
    return CondaPython(
        paths.SOFTWARE,
        conda=paths.CONDA,
        channels=python.channels,
        python=python.version,
        node=python.node,
        edition=hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16],
    )
