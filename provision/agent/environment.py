"""The environment of a run: the host's own programs and libraries, whatever a login shell has set."""

from __future__ import annotations

import os
import resource
from collections.abc import MutableMapping

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Another Python, or other libraries, for the system's programs: left by conda, pyenv, modules …
MISLEADING = ("BASH_ENV", "CONDA_PREFIX", "ENV", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV")
OPEN_FILES = 4096  # what uv, pip and apt may need at once


def put_right(environ: MutableMapping[str, str]) -> None:
    """Let the system's own programs come first, and delete what would mislead them."""
    for name in [name for name in environ if name.startswith("PYTHON") or name in MISLEADING]:
        del environ[name]
    own = PATH.split(":")
    others = [
        place for place in environ.get("PATH", "").split(":") if place.startswith("/") and place not in own
    ]
    environ["PATH"] = ":".join([*own, *others])


def prepare() -> None:
    """Put umask, environment and limits of this process right; its programs inherit them."""
    os.umask(0o022)  # sudo may set a stricter one, and the hub's user has to read the files of a run
    put_right(os.environ)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        more = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
