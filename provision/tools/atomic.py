"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to. It becomes `path` when the block has ended well, and else it goes.

    What a killed run left under that name is overwritten by the next one.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):  # it has its name, or could not even be begun
            unfinished.unlink()
