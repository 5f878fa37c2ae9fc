"""The place of this project on this computer: in a clone, or installed as a package. Only this file knows."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel keeps all files that are no Python package of ours here, laid out as in a clone; see pyproject.toml.
_INSTALLED = _PACKAGE / "project"

PROJECT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
AGENT = _PACKAGE / "agent"
SETUP = "" if _INSTALLED.is_dir() else "`make setup`"
"""The command that installs missing programs; there is none where Hubwright was installed from its wheel."""


def how_to_install(program: str, package: str = "") -> str:
    """The next step when a program of this computer is missing."""
    return f"run {SETUP}" if SETUP else f"install it: sudo apt-get install {package or program}"


def program(name: str = "hubwright") -> Path:
    """The command of that name that belongs to the Python that runs this."""
    return Path(sys.executable).with_name(name)


def fabric_tasks() -> dict[str, Any]:
    """The names of this project's fabfile, for the fabfile.py of a hub's own folder."""
    return runpy.run_path(str(PROJECT / "fabfile.py"), run_name="hubwright_fabfile")
