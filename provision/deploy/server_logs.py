"""Logs of people's servers: of those that run, and the kept last lines of those that have ended."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Sequence
from typing import Any

from provision.deploy.parallel import for_each_host
from provision.errors import HubwrightError
from provision.report.reporter import Reporter
from provision.ssh import Access, Target, command

FOLDER = "/opt/hubwright"
PROGRAM = f"{FOLDER}/services/server_logs.py"


def server_logs(
    targets: Sequence[Target], access: Access, reporter: Reporter, *, name: str, lines: int, follow: bool
) -> bool:
    """Print what the servers of `name` say, an account or account/server; True when a host knows one.

    With `follow`, running servers are followed on all hosts side by side, until they end or until ctrl-C.
    Prints an error for each host that does not answer, and when no host knows the name.
    """
    printing = threading.Lock()

    def one(target: Target) -> HubwrightError | None:
        prefix = f"{target.name} " if len(targets) > 1 else ""

        def show(text: str) -> None:
            with printing:
                reporter.result(prefix + text)

        try:
            return _ask(target, access, show, name=name, lines=lines, follow=follow)
        except HubwrightError as error:
            return None if access.connections.closed else error  # closed: this program hung up

    answers = for_each_host(targets, access, one) if follow else [one(target) for target in targets]
    errors = [error for error in answers if error is not None]
    known = len(errors) < len(answers)
    for error in errors:
        if not known or not isinstance(error, Unknown):
            reporter.error(error)
    return known and all(isinstance(error, Unknown) for error in errors)


class Unknown(HubwrightError):
    """A host has no server of that name, and no kept log of one."""


def _ask(
    target: Target, access: Access, show: Callable[[str], None], *, name: str, lines: int, follow: bool
) -> Unknown | None:
    """Show the logs that a host has. Returns the error to print when it has none."""
    about: dict[str, Any] = {}

    def first_or_show(text: str) -> None:
        if about:
            show(text)
        else:
            about.update(json.loads(text))

    run = [f"{FOLDER}/current/bin/python", PROGRAM, *(["--follow"] if follow else []), str(lines), name]
    missing = json.dumps({"found": 0, "program": False})
    line = f"[ -e {PROGRAM} ] || {{ echo {shlex.quote(missing)}; exit 0; }}; exec {shlex.join(run)}"
    command(target, access, line, show=first_or_show)
    if about.get("found"):
        return None
    if not about.get("program", True):
        return Unknown(
            "the hub there does not keep logs of servers",
            where=target.name,
            hint="`hubwright apply`; servers that end afterwards are known",
        )
    near = " or ".join(map(repr, about.get("near") or ()))
    return Unknown(
        f"no server of {name!r} runs, and none has ended in the last days",
        where=target.name,
        hint=f"did you mean {near}?" if near else "`hubwright logs` has the hub's own log",
    )
