"""Ctrl-C for tests, wherever these run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT interrupts this process, and those that it starts, while the block runs.

    A shell has what it starts in the background ignore it, and so would they.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
