"""What a person sees. The only file of the driver that prints.

On a terminal, a step in progress spins; in a pipe every line is plain and complete in itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from provision.errors import HubwrightError


@dataclass
class Step:
    """A step in progress. `say` tells what it is at; `note` replaces the words of its last line."""

    title: str
    _reporter: Reporter
    note: str = ""

    def say(self, detail: str) -> None:
        self._reporter._detail(self, detail)


@dataclass
class Reporter:
    """Progress on standard error, results on standard output (so `--json` stays parseable)."""

    quiet: bool = False
    verbose: int = 0
    _status: Any = field(default=None, repr=False)

    @property
    def _terminal(self) -> bool:
        return sys.stderr.isatty()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Shows `title` while the block runs, then its outcome and how long it took."""
        step, began = Step(title, self), time.monotonic()
        self._begin(title)
        try:
            yield step
        except BaseException:
            self._end("✗", step, time.monotonic() - began)
            raise
        self._end("✓", step, time.monotonic() - began)

    def line(self, text: str = "") -> None:
        """A line of progress or advice, on standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """What a run is at just now: passes by on a terminal, stays in a pipe or with -v."""
        if self._status is not None:
            self._status.update(text)
        elif self.verbose or not self._terminal:
            self.line(f"    {text}")

    @contextmanager
    def running(self, title: str) -> Iterator[None]:
        """Shows that something is going on until the block ends; lines may pass above it."""
        if self._terminal and not self.quiet:
            from rich.console import Console

            self._status = Console(stderr=True).status(title)
            self._status.start()
        try:
            yield
        finally:
            if self._status is not None:
                self._status.stop()
                self._status = None

    def result(self, text: str) -> None:
        """What the command was asked for, on standard output."""
        print(text, flush=True)

    def json(self, value: Any) -> None:
        print(json.dumps(value, indent=2, sort_keys=True), flush=True)

    def error(self, error: HubwrightError) -> None:
        """What, where, and what next, in one screen."""
        lines = str(error).splitlines()
        print(
            "\n".join(("error: " if n == 0 else "       ") + text for n, text in enumerate(lines)),
            file=sys.stderr,
        )
        if error.hint:
            print(f" next: {error.hint}", file=sys.stderr, flush=True)

    def _begin(self, title: str) -> None:
        if self.quiet:
            return
        if self._terminal:
            from rich.console import Console

            self._status = Console(stderr=True).status(title)
            self._status.start()
        else:
            self.line(f"… {title}")

    def _detail(self, step: Step, detail: str) -> None:
        if self._status is not None:
            self._status.update(f"{step.title}: {detail}")
        elif self.verbose or not self._terminal:
            self.line(f"    {detail}")

    def _end(self, mark: str, step: Step, seconds: float) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        self.line(f"{mark} {step.note or step.title} ({seconds:.1f} s)")
