"""Looking at hosts: status and logs. Changes nothing."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Sequence

from provision.deploy.parallel import fault, for_each_host
from provision.errors import HubwrightError
from provision.report.outcomes import OPTIONAL, HostStatus
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target, command

UNITS = ("jupyterhub", "jupyterhub-proxy", "docker", "hubwright-fence", *OPTIONAL)

# One program on the host answers everything at once, as JSON.
_QUESTIONS = """\
import json, pathlib, shutil, subprocess
def ask(*argv):
    try:
        return subprocess.run(argv, capture_output=True, text=True).stdout
    except OSError:
        return ''
def last(path):
    try:
        lines = path.read_text(errors='replace').splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
state = pathlib.Path('/var/lib/hubwright')
units = UNITS
print(json.dumps({
    'units': dict(zip(units, ask('systemctl', 'is-active', *units).split())),
    'servers': len(ask('docker', 'ps', '-q', '--filter', 'network=hubwright').split()),
    'deployed': (state / 'applied.json').exists(),
    'last_run': last(state / 'journal.jsonl'),
    'disk_free': shutil.disk_usage('/').free,
}))
"""


def status(targets: Sequence[Target], access: Access) -> list[HostStatus]:
    """Every host's status, asked side by side."""

    def one(target: Target) -> HostStatus:
        program = _QUESTIONS.replace("UNITS", repr(UNITS))
        try:
            text = command(target, access, f"python3 -c {shlex.quote(program)}")
            return HostStatus(target.name, **json.loads(text))
        except HubwrightError as error:
            return HostStatus(target.name, error=error)
        except Exception as error:
            return HostStatus(target.name, error=fault(target, error))

    return for_each_host(targets, access, one)


def ticket(target: Target, access: Access) -> str:
    """A path at the hub's URL that opens the status page to whoever has it: once, within ten minutes."""
    folder = "/opt/hubwright"
    program = f"{folder}/services/status_page.py"
    line = f"[ ! -e {program} ] || exec {folder}/current/bin/python {program} --ticket"
    path = command(target, access, line).strip()
    if not path:
        raise HubwrightError(
            "there is no status page",
            where=target.name,
            hint="set [monitoring] graphite = true, then `hubwright apply`",
        )
    return path


def logs(
    targets: Sequence[Target], access: Access, reporter: Reporter, *, unit: str, lines: int, follow: bool
) -> bool:
    """Print the journal of a unit, one host after the other; whether all of them had it to show.

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
            if not access.connections.closed:  # else it is us who hung up
                with printing:
                    reporter.error(error)
            return False
        return True

    return all(for_each_host(targets, access, one) if follow else [one(target) for target in targets])


def front_door(settings: Settings, target: Target) -> str:
    """Where a browser finds the hub of a host: by the name of the settings, or as the host was named here."""
    host = settings.hub.domain or target.host
    host = f"[{host}]" if ":" in host else host
    port = "" if settings.tls.mode == "behind-proxy" else f":{settings.hub.port}"
    return f"{settings.tls.scheme}://{host}{port}/"
