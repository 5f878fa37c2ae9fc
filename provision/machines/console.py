"""The serial console of a virtual machine: the only information about one that never answers."""

from __future__ import annotations

import re
from pathlib import Path

LINES = 12
WIDTH = 100
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1bc|[^\n\x20-\x7e]")


class Console:
    """The file with the output of a machine's console, and a file with the number of bytes that count."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._end = file.with_name("end")

    def clear(self) -> None:
        """Make an empty folder for it. libvirt's log daemon makes the file, readable by root."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for old in (self._file, self._end):
            old.unlink(missing_ok=True)

    def close(self) -> None:
        """Ignore all output from now on: Vagrant has given up, and shuts the machine down."""
        if self._file.exists():
            self._end.write_text(str(self._file.stat().st_size), encoding="ascii")

    def last_words(self) -> list[str]:
        """A heading and the last lines of the console, before it was closed; empty when there is none."""
        if not self._file.exists():
            return []
        try:
            said = self._file.read_bytes()
            end = int(self._end.read_text("ascii")) if self._end.exists() else len(said)
        except PermissionError:
            return [f"the end of its console is in {self._file}, which root can read"]
        lines = parse(said[:end][-65536:])
        if not lines:
            return ["its console is empty"]
        return ["the end of its console:", *(f"  {line}" for line in lines)]


def parse(output: bytes) -> list[str]:
    """The last lines that hold anything, as plain text."""
    text = _CONTROL.sub("", output.decode(errors="replace").replace("\r", "\n"))
    return [line.strip()[:WIDTH] for line in text.splitlines() if line.strip()][-LINES:]
