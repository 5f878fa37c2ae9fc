"""Files that are complete or not there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to. It becomes `path` when the block ends well, else it is deleted.

    The next run overwrites a file that a killed one has left under that name.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or could not even be created
            unfinished.unlink()
