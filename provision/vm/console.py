"""The serial console of a virtual machine: all that is known of one that never answers."""

from __future__ import annotations

import re

from provision.settings import Settings
from provision.vm.paths import console_file

LINES = 12
WIDTH = 100
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1bc|[^\n\x20-\x7e]")


def clear(settings: Settings) -> None:
    """A folder of ours, empty. libvirt's log daemon makes the file, for root to read."""
    file = console_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)


def last_words(settings: Settings) -> list[str]:
    """A heading and the last lines of the console; nothing where there is none."""
    file = console_file(settings)
    if not file.exists():
        return []
    try:
        lines = parse(file.read_bytes()[-65536:])
    except PermissionError:
        return [f"its console's last words are in {file}, for root to read"]
    if not lines:
        return ["its console is silent"]
    return ["its console said last:", *(f"  {line}" for line in lines)]


def parse(output: bytes) -> list[str]:
    """The last lines that hold anything, as plain text."""
    text = _CONTROL.sub("", output.decode(errors="replace").replace("\r", "\n"))
    return [line.strip()[:WIDTH] for line in text.splitlines() if line.strip()][-LINES:]
