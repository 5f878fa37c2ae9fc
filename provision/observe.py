"""Looking at hosts: status and logs. Changes nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from provision.errors import HubwrightError
from provision.hosts import Access, Target, command
from provision.settings import Settings

# The settings may not want these.
OPTIONAL = (
    "hubwright-redirect",
    "hubwright-culler",
    "hubwright-graphite",
    "hubwright-metrics",
    "hubwright-status",
)
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
        return json.loads(path.read_text().splitlines()[-1])
    except (OSError, IndexError):
        return None
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


@dataclass(frozen=True)
class HostStatus:
    """What a host says of itself; `error` when it could not be asked. `disk_free` is in bytes."""

    name: str
    units: dict[str, str] = field(default_factory=dict)
    servers: int = 0
    deployed: bool = False
    last_run: dict[str, Any] | None = None
    disk_free: int = 0
    error: HubwrightError | None = None

    @property
    def healthy(self) -> bool:
        """All units run; those that the settings may not want may be off."""
        return (
            self.error is None
            and self.deployed
            and bool(self.units)
            and all(
                state == "active" or (unit in OPTIONAL and state == "inactive")
                for unit, state in self.units.items()
            )
        )


def status(targets: Sequence[Target], access: Access) -> list[HostStatus]:
    """Every host's status, asked side by side."""

    def one(target: Target) -> HostStatus:
        program = _QUESTIONS.replace("UNITS", repr(UNITS))
        try:
            text = command(target, access, f"python3 -c {shlex.quote(program)}")
            return HostStatus(target.name, **json.loads(text))
        except HubwrightError as error:
            return HostStatus(target.name, error=error)

    with ThreadPoolExecutor(max_workers=max(1, min(len(targets), 32))) as pool:
        return list(pool.map(one, targets))


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
    target: Target, access: Access, show: Callable[[str], None], *, unit: str, lines: int, follow: bool
) -> None:
    """The journal of a unit, line by line; with `follow` until interrupted."""
    argv = ["journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", f"--unit={unit}"]
    command(target, access, shlex.join([*argv, *(["--follow"] if follow else [])]), show=show)


def front_door(settings: Settings, target: Target) -> str:
    """Where a browser finds the hub of a host: by the name of the settings, or as the host was named here."""
    host = settings.hub.domain or target.host
    host = f"[{host}]" if ":" in host else host
    port = "" if settings.tls.mode == "behind-proxy" else f":{settings.hub.port}"
    return f"{settings.tls.scheme}://{host}{port}/"
