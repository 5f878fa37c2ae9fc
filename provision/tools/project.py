"""Where this project lies on this computer."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def program() -> Path:
    """The command `hubwright` of the Python that runs this."""
    return Path(sys.executable).with_name("hubwright")
