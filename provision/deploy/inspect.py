"""Status and logs of hosts. Nothing here changes a host."""

from __future__ import annotations

import difflib
import json
import shlex
import threading
from collections.abc import Sequence
from pathlib import Path

from provision.deploy import host_report
from provision.deploy.parallel import fault, for_each_host
from provision.errors import HubwrightError, SettingsError
from provision.report.outcomes import HostStatus
from provision.report.reporter import Reporter
from provision.settings import Settings, download_environment
from provision.ssh import Access, Target, command
from roles import SHIPPED, Roles, keeper, table

MAX_LOG_LINES = 100_000
NO_PAGE = "no-page"  # a host's answer, which is no path
REPORT = Path(host_report.__file__)


def _usable_roles(settings: Settings, reporter: Reporter) -> Roles:
    """The roles of the settings; the shipped ones, with a warning, where the operator's own have a mistake.

    A host can then still be looked at, and the hub be removed, while such a role is corrected.
    """
    try:
        found = table(settings)
        found.units(settings)
    except SettingsError as error:
        reporter.line(f"warning: {str(error).splitlines()[0]}; going on without your own roles")
        return SHIPPED
    return found


def status(
    settings: Settings, targets: Sequence[Target], access: Access, reporter: Reporter
) -> list[HostStatus]:
    """Every host's status: its units, its files and images, and the hub's answer to a visitor's request."""
    roles = _usable_roles(settings, reporter)
    question = {
        "units": roles.units(settings),
        "door": settings.own_door,
        "fresh": roles.fresh(settings),
        "answers": roles.answers(settings),
        "helpers": roles.containers(settings),
        "hub": (keeper.NAME, settings.network.gateway, settings.network.hub_port),
        "index": download_environment.notebooks_index(settings),
    }
    words = ["/usr/bin/python3", "-I", "-c", REPORT.read_text(encoding="utf-8"), json.dumps(question)]

    def one(target: Target) -> HostStatus:
        try:
            return HostStatus(target.name, **json.loads(command(target, access, shlex.join(words))))
        except HubwrightError as error:
            return HostStatus(target.name, error=error)
        except Exception as error:
            return HostStatus(target.name, error=fault(target, error))

    return for_each_host(targets, access, one)


def data(settings: Settings, reporter: Reporter) -> list[str]:
    """A few words for each kind of data on a host that a removal deletes."""
    return [each.what for each in _usable_roles(settings, reporter).state(settings)]


def check_logs(unit: str | None, server: str | None, lines: int) -> None:
    """Raise SettingsError for logs that cannot be shown: of two things at once, or of so many lines."""
    if unit and server is not None:
        raise SettingsError(
            "--unit and --server name two different logs", hint="give one of them, or neither for the hub's"
        )
    if not 1 <= lines <= MAX_LOG_LINES:
        raise SettingsError(f"--lines {lines}: cannot be shown", hint=f"give 1 to {MAX_LOG_LINES}")


def unit_of(settings: Settings, name: str, reporter: Reporter) -> str:
    """The systemd unit that `name` means: a unit of the hub's, the service of
    one of its timers, or a role's first unit. Raises SettingsError."""
    roles = _usable_roles(settings, reporter)
    units = roles.units(settings)
    by_role = {role.name: role.units(settings) for role in roles.wanted(settings)}
    # A timer has no log of its own to speak of: the service that it starts writes it.
    started = {unit.removesuffix(".timer") for unit in units if unit.endswith(".timer")}
    if name.removesuffix(".service") in {*units, *started} or name in units:
        return name
    if found := by_role.get(name):
        return found[0]
    known = sorted({*units, *started, *(role for role, found in by_role.items() if found)})
    near = difflib.get_close_matches(name, known, n=1)
    raise SettingsError(
        f"the hub has no unit {name!r}" + (f", did you mean {near[0]!r}?" if near else ""),
        hint=f"known are {', '.join(known)}",
    )


def ticket(target: Target, access: Access) -> str:
    """A path at the hub's URL that opens the status page without a login: once, within ten minutes."""
    folder = "/opt/hubwright"
    program = f"{folder}/services/status_page.py"
    line = (
        f"if [ -e {program} ]; then exec {folder}/current/bin/python {program} --ticket; fi; "
        f"[ ! -e {host_report.STATE}/applied.json ] || echo {NO_PAGE}"
    )
    path = command(target, access, line).strip()
    if not path:
        raise HubwrightError("nothing is deployed", where=target.name, hint="`hubwright apply` deploys a hub")
    if path == NO_PAGE:
        raise HubwrightError(
            "there is no status page",
            where=target.name,
            hint="set [monitoring] graphite = true, then `hubwright apply`",
        )
    return path


def logs(
    targets: Sequence[Target], access: Access, reporter: Reporter, *, unit: str, lines: int, follow: bool
) -> bool:
    """Print the journal of a unit, one host after the other. True when every host could show it.

    With `follow` side by side, until interrupted. Lines begin with the host's name where there are several.
    """
    argv = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", f"--unit={unit}"]
    line = shlex.join([*argv, *(["--follow"] if follow else [])])
    printing = threading.Lock()

    def one(target: Target) -> bool:
        prefix = f"{target.name} " if len(targets) > 1 else ""

        def show(text: str) -> None:
            with printing:
                reporter.result(prefix + text)

        try:
            command(target, access, line, show=show)
        except HubwrightError as error:
            if not access.connections.closed:  # else this program hung up
                with printing:
                    reporter.error(error)
            return False
        return True

    return all(for_each_host(targets, access, one) if follow else [one(target) for target in targets])


def hub_url(settings: Settings, target: Target) -> str:
    """The hub's URL for a browser: with the domain of the settings, else with the name given for the host.

    That of a machine of this computer is the forwarded port.
    """
    if target.made_here:
        return f"{settings.tls.own_scheme}://127.0.0.1:{settings.vm.port}/"
    host = settings.hub.domain or target.host
    host = f"[{host}]" if ":" in host else host
    port = "" if settings.tls.mode == "behind-proxy" else f":{settings.hub.port}"
    return f"{settings.tls.scheme}://{host}{port}/"
