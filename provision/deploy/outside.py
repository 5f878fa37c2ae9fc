"""A hub as people meet it: asked from this computer, or from another host, once it is deployed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from provision.deploy import front, inspect
from provision.deploy.parallel import for_each_host
from provision.errors import HubwrightError
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target, command
from provision.tools.process import HERE

PROGRAM = Path(front.__file__)
TRUSTED = ("files", "letsencrypt")
ADVICE = "open its port in the provider's firewall, or correct the DNS; --from HOST asks from another place"


def is_asked(settings: Settings, target: Target) -> bool:
    """False for a machine on this computer whose front door is another web server's."""
    return not (target.made_here and settings.tls.mode == "behind-proxy")


def fault(settings: Settings, target: Target, access: Access, watcher: Target | None = None) -> str:
    """The reason why people do not reach the hub of a host; empty when a request from outside arrives.

    `watcher`: the host to ask from, in place of this computer.
    """
    public = not target.made_here and (settings.tls.mode in TRUSTED or settings.tls.mode == "behind-proxy")
    url = inspect.hub_url(settings, target)
    if watcher is None:
        found, place = front.fault(url, public), HERE
    else:
        question = json.dumps({"url": url, "trusted": public})
        words = ["python3", "-c", PROGRAM.read_text(encoding="utf-8"), question]
        try:
            answer = json.loads(command(watcher, access, shlex.join(words)))
        except HubwrightError as error:
            return f"{watcher.name} could not be asked: {str(error).splitlines()[0]}"
        found, place = answer["fault"], watcher.name
    return f"asked from {place}, {found}" if found else ""


def look(
    settings: Settings,
    targets: Sequence[Target],
    outcomes: Sequence[Outcome],
    access: Access,
    reporter: Reporter,
    watcher: Target | None = None,
) -> None:
    """Note in the outcomes what people will miss on hosts that a run has just changed."""
    changed = {outcome.host: outcome for outcome in outcomes if not outcome.failed and outcome.changes}
    chosen = [target for target in targets if target.name in changed]
    if not chosen:
        return
    for status in inspect.status(settings, chosen, access, reporter):
        changed[status.name].remarks += status.faults
        if status.error is not None:
            changed[status.name].remarks.append(str(status.error).splitlines()[0])

    def ask(target: Target) -> str:
        return fault(settings, target, access, watcher) if is_asked(settings, target) else ""

    for target, found in zip(chosen, for_each_host(chosen, access, ask), strict=True):
        if found:
            changed[target.name].remarks.append(f"people may not get in: {found}; {ADVICE}")
