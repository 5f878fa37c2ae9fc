"""A run on hosts, as a person follows it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from provision.agent.events import Event, Mode
from provision.errors import HubwrightError
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter

MARKS = {
    "changed": "~",
    "would-change": "~",
    "unknown": "?",
    "removed": "-",
    "would-remove": "-",
    "kept": "!",
    "failed": "✗",
    "skipped": "·",
}
COLOURS = {"~": "yellow", "?": "cyan", "-": "magenta", "✗": "red", "·": "bright_black", "!": "cyan"}


class RunReport:
    """Shows events while they come, and the outcome of every host at the end."""

    def __init__(self, reporter: Reporter, mode: Mode, hosts: int) -> None:
        self.reporter = reporter
        self.mode = mode
        self._prefix = hosts > 1

    def handle(self, host: str, event: Event) -> None:
        where = f"{host} " if self._prefix else ""
        kind = event["event"]
        if kind == "result":
            self.reporter.line(f"  {where}{self._result(event)}")
            for line in event.get("diff", "").splitlines() if self.mode == "plan" else ():
                self.reporter.line(f"      {line}")
            if self.reporter.verbose > 1 and event.get("trace"):
                self.reporter.line(event["trace"])
        elif kind == "say":
            self.reporter.detail(f"{where}{event['role']}: {event['text']}")
        elif kind == "hello":
            self.reporter.detail(f"{where}{event['hostname']}, {event['os']}, Python {event['python']}")
        elif kind == "accepted":
            self.reporter.line(f"! {host}: accepted the host key {event['key']}, noted in {event['file']}")

    def summary(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.error is not None:
                self.reporter.error(outcome.error)
            elif outcome.failed:
                self.reporter.error(_failure(outcome))
            else:
                self.reporter.line(f"✓ {outcome.host}: {self._words(outcome)} ({outcome.seconds:.1f} s)")

    def as_json(self, outcomes: Sequence[Outcome]) -> Any:
        return [
            {
                "host": outcome.host,
                "failed": outcome.failed,
                "changes": outcome.changes,
                "count": outcome.count,
                "seconds": round(outcome.seconds, 3),
                "facts": {k: v for k, v in outcome.facts.items() if k != "event"},
                "results": [{k: v for k, v in event.items() if k != "event"} for event in outcome.results],
                "error": str(outcome.error) if outcome.error else None,
            }
            for outcome in outcomes
        ]

    def _result(self, event: Event) -> str:
        mark = MARKS[event["status"]]
        if sys.stderr.isatty():
            import click

            mark = click.style(mark, fg=COLOURS[mark])
        seconds = f" ({event['seconds']:.1f} s)" if event["seconds"] >= 0.05 else ""
        return f"{mark} {event['role']}: {event['summary']}{seconds}"

    def _words(self, outcome: Outcome) -> str:
        if not outcome.changes:
            return "0 changed, everything holds"
        count = outcome.count
        if self.mode == "plan":
            words = [
                f"{count.get('would-change', 0)} to change",
                f"{count.get('would-remove', 0)} to remove",
                f"{count.get('unknown', 0)} unknown until others are applied",
            ]
        else:
            words = [f"{count.get('changed', 0)} changed", f"{count.get('removed', 0)} removed"]
        return ", ".join([*words, f"{count.get('ok', 0)} held"])


def _failure(outcome: Outcome) -> HubwrightError:
    failed = [event for event in outcome.results if event["status"] == "failed"]
    skipped = outcome.count.get("skipped", 0)
    lines = [f"{event['role']}: {event['id']}: {event['summary']}" for event in failed]
    if skipped:
        lines.append(f"{skipped} more were not tried")
    hint = next((event["hint"] for event in failed if event.get("hint")), "")
    return HubwrightError(
        "\n".join(lines),
        where=outcome.host,
        hint=hint or "run this again: it goes on where it stopped",
    )
