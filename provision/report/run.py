"""The report of a run on hosts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from provision.agent.events import Accepted, Event, Hello, Mode, Other, Result, Say, Status
from provision.errors import HubwrightError
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter

MARKS: dict[str, str] = {
    Status.CHANGED: "~",
    Status.WOULD_CHANGE: "~",
    Status.UNKNOWN: "?",
    Status.REMOVED: "-",
    Status.WOULD_REMOVE: "-",
    Status.KEPT: "!",
    Status.OK: "=",
    Status.FAILED: "✗",
    Status.SKIPPED: "·",
}
COLOURS = {
    "~": "yellow",
    "?": "cyan",
    "-": "magenta",
    "!": "cyan",
    "=": "green",
    "✗": "red",
    "·": "bright_black",
}


class RunReport:
    """Prints events while they come, and the outcome of every host at the end."""

    def __init__(self, reporter: Reporter, mode: Mode, hosts: int) -> None:
        self.reporter = reporter
        self.mode = mode
        self._prefix = hosts > 1
        self._skipped: set[tuple[str, str]] = set()

    def handle(self, host: str, event: Event) -> None:
        where = f"{host} " if self._prefix else ""
        if isinstance(event, Result):
            if event.status == Status.SKIPPED:  # one line a role is enough
                if (host, event.role) in self._skipped:
                    return
                self._skipped.add((host, event.role))
            self.reporter.line(f"  {where}{self._result(event)}")
            for line in event.diff.splitlines() if self.mode == "plan" else ():
                self.reporter.line(f"      {line}")
            if self.reporter.verbose > 1 and event.trace:
                self.reporter.line(event.trace)
        elif isinstance(event, Say):
            self.reporter.detail(f"{where}{event.role}: {event.text}")
        elif isinstance(event, Hello):
            self.reporter.detail(f"{where}{event.hostname}, {event.os}, Python {event.python}")
        elif isinstance(event, Accepted):
            self.reporter.line(f"! {host}: accepted the host key {event.key}, noted in {event.file}")
        elif isinstance(event, Other):
            told = ", ".join(f"{key} {value}" for key, value in event.rest.items())
            self.reporter.line(f"  {where}{event.word}: {told}".rstrip(": "))

    def summary(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.error is not None:
                self.reporter.error(outcome.error)
            elif outcome.failed:
                self.reporter.error(_failure(outcome))
            else:
                self.reporter.line(f"✓ {outcome.host}: {self._words(outcome)} ({outcome.seconds:.1f} s)")
            for remark in outcome.remarks:
                self.reporter.line(f"! {outcome.host}: warning: {remark}")

    def as_json(self, outcomes: Sequence[Outcome]) -> Any:
        return [
            {
                "host": outcome.host,
                "failed": outcome.failed,
                "changes": outcome.changes,
                "count": outcome.count,
                "seconds": round(outcome.seconds, 3),
                "remarks": outcome.remarks,
                "facts": outcome.facts.data() if outcome.facts else {},
                "results": [result.data() for result in outcome.results],
                "error": str(outcome.error) if outcome.error else None,
            }
            for outcome in outcomes
        ]

    def _result(self, result: Result) -> str:
        mark = MARKS.get(result.status, result.status)  # a newer agent's status is shown as its word
        if sys.stderr.isatty():
            import click

            mark = click.style(mark, fg=COLOURS.get(mark))
        seconds = f" ({result.seconds:.1f} s)" if result.seconds >= 0.05 else ""
        return f"{mark} {result.role}: {result.summary}{seconds}"

    def _words(self, outcome: Outcome) -> str:
        if not outcome.changes:
            return "0 changed, everything holds"
        count = outcome.count
        if self.mode == "plan":
            words = [
                f"{count.get(Status.WOULD_CHANGE, 0)} to change",
                f"{count.get(Status.WOULD_REMOVE, 0)} to remove",
                f"{count.get(Status.UNKNOWN, 0)} unknown until others are applied",
            ]
        else:
            words = [f"{count.get(Status.CHANGED, 0)} changed", f"{count.get(Status.REMOVED, 0)} removed"]
        newer = [f"{number} {status}" for status, number in count.items() if number and status not in MARKS]
        return ", ".join([*words, *newer, f"{count.get(Status.OK, 0)} held"])


def _failure(outcome: Outcome) -> HubwrightError:
    failed = [result for result in outcome.results if result.status == Status.FAILED]
    skipped = outcome.count.get(Status.SKIPPED, 0)
    lines = [f"{result.role}: {result.id}: {result.summary}" for result in failed]
    if skipped:
        lines.append(f"{skipped} more were not tried")
    hint = next((result.hint for result in failed if result.hint), "")
    return HubwrightError(
        "\n".join(lines),
        where=outcome.host,
        hint=hint or "correct what this names; until then the next run would stop there, too",
    )
