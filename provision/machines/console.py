"""The serial console of a virtual machine: all that is known of one that never answers."""

from __future__ import annotations

import re
from pathlib import Path

from provision.machines.paths import console_file
from provision.settings import Settings

LINES = 12
WIDTH = 100
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1bc|[^\n\x20-\x7e]")


def clear(settings: Settings) -> None:
    """A folder of ours, empty. libvirt's log daemon makes the file, for root to read."""
    file = console_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    for old in (file, _end(settings)):
        old.unlink(missing_ok=True)


def close(settings: Settings) -> None:
    """What it says from now on is not of interest: Vagrant has given up, and shuts the machine down."""
    file = console_file(settings)
    if file.exists():
        _end(settings).write_text(str(file.stat().st_size), encoding="ascii")


def last_words(settings: Settings) -> list[str]:
    """A heading and the last lines of the console, before it was closed; nothing where there is none."""
    file, end = console_file(settings), _end(settings)
    if not file.exists():
        return []
    try:
        said = file.read_bytes()
        lines = parse(said[: int(end.read_text("ascii")) if end.exists() else len(said)][-65536:])
    except PermissionError:
        return [f"its console's last words are in {file}, for root to read"]
    if not lines:
        return ["its console is silent"]
    return ["its console said last:", *(f"  {line}" for line in lines)]


def parse(output: bytes) -> list[str]:
    """The last lines that hold anything, as plain text."""
    text = _CONTROL.sub("", output.decode(errors="replace").replace("\r", "\n"))
    return [line.strip()[:WIDTH] for line in text.splitlines() if line.strip()][-LINES:]


def _end(settings: Settings) -> Path:
    """How many bytes of the console count."""
    return console_file(settings).with_name("end")
