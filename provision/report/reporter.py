"""Output for people. The only file of the driver that prints.

On a terminal, work in progress spins; in a pipe every line is plain and complete in itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from provision.agent.masking import without_credentials
from provision.errors import HubwrightError

if TYPE_CHECKING:
    from rich.status import Status

QUIET_SECONDS = 5.0  # without a line in a pipe, before a detail is printed


@dataclass
class Step:
    """A step in progress. `note`, when set, replaces the title in the line that ends it."""

    title: str
    _reporter: Reporter
    note: str = ""

    def say(self, detail: str) -> None:
        """Show what the step does at the moment."""
        self._reporter.detail(f"{self.title}: {detail}")


@dataclass
class Reporter:
    """Progress on standard error, results on standard output (so `--json` stays parseable)."""

    quiet: bool = False
    verbose: int = 0
    _spinner: Status | None = field(default=None, repr=False)
    _last_line: float = field(default_factory=time.monotonic, repr=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show `title` while the block runs, then how it ended and how long it took."""
        step, began, mark = Step(title, self), time.monotonic(), "✗"
        if not sys.stderr.isatty():
            self.line(f"… {title}")
        try:
            with self.running(title):
                yield step
            mark = "✓"
        finally:
            self.line(f"{mark} {step.note or step.title} ({time.monotonic() - began:.1f} s)")

    @contextmanager
    def running(self, title: str) -> Iterator[None]:
        """Show a spinner on a terminal while the block runs; lines appear above it."""
        if self.quiet or self._spinner is not None or not sys.stderr.isatty():
            self.detail(title)
            yield
            return
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True, highlight=False).status(Text(title)) as self._spinner:
            try:
                yield
            finally:
                self._spinner = None

    def line(self, text: str = "") -> None:
        """Print a line of progress or advice."""
        self._last_line = time.monotonic()
        text = without_credentials(text)
        if self.quiet:
            return
        if self._spinner is not None:
            from rich.text import Text

            self._spinner.console.print(Text.from_ansi(text))
        else:
            print(text, file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        """Show progress: beside the spinner on a terminal; in a pipe a line now and then."""
        if self._spinner is not None:
            from rich.text import Text  # as it is: programs write brackets, which mean markup to Rich

            self._spinner.update(Text.from_ansi(without_credentials(text)))
        elif self.verbose or time.monotonic() - self._last_line > QUIET_SECONDS:
            self.line(f"    {text}")

    def result(self, text: str) -> None:
        """Print the result that the command was asked for."""
        print(text, flush=True)

    def raw(self, content: bytes) -> None:
        """Write the result as bytes, for a file."""
        if sys.stdout.isatty() and not content.isascii():
            raise HubwrightError("this is not for a screen", hint="send it to a file: add `> FILE`")
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    def json(self, value: Any) -> None:
        """Print the result for scripts."""
        print(json.dumps(value, indent=2, sort_keys=True), flush=True)

    def error(self, error: HubwrightError) -> None:
        """Print what happened, where, and what to do next, on one screen."""
        first, *rest = str(error).splitlines() or [""]
        lines = [f"error: {first}", *(f"       {line}" for line in rest)]
        if error.hint:
            lines.append(f" next: {error.hint}")
        print(without_credentials("\n".join(lines)), file=sys.stderr, flush=True)
