"""Fabric's way in: `fab -H user@host1,user@host2 deploy`. Adapters over the functions that `hubwright` calls.

Without -H the tasks work on the machine that `hubwright up` raised. Fabric calls a task once for each host;
the first call serves all hosts side by side, so that one slow or broken host delays no other.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fabric import task
from fabric.main import program
from invoke.exceptions import Exit as Stop

import roles
from provision.agent.events import Mode
from provision.cli.options import named
from provision.deploy import apply as deployment
from provision.deploy import inspect
from provision.deploy.server_logs import server_logs
from provision.deploy.verify import verify as run_checks
from provision.errors import Exit, HubwrightError
from provision.machines import machine_of
from provision.report.reporter import Reporter
from provision.report.run import RunReport
from provision.report.status import show
from provision.settings import Settings, load
from provision.ssh import Access, Target

HELP = {"accept-new-host-key": "show and note the key of a host that is not known yet"}

_served: set[str] = set()


def served_once(function: Callable[..., Exit]) -> Callable[..., None]:
    """A task of Fabric's that serves all hosts in its first call and maps its outcome to an exit code."""

    @functools.wraps(function)
    def adapter(*args: Any, **kwargs: Any) -> None:
        if function.__name__ in _served:
            return
        _served.add(function.__name__)
        try:
            code = function(*args, **kwargs)
        except HubwrightError as error:
            Reporter().error(error)
            code = error.code
        if code is not Exit.DONE:
            raise Stop(code=int(code))

    return adapter


def _settings() -> Settings:
    return load(Path(os.environ.get("HUBWRIGHT_CONFIG", "hub.toml")))


def _targets(settings: Settings) -> list[Target]:
    hosts = program.args["hosts"].value
    identities = program.args["identity"].value
    if hosts is None:
        return [machine_of(settings).target()]
    return named([hosts], Path(identities[0]) if identities else None)


def _access(c: Any, accept_new_host_key: bool = False) -> Access:
    return Access(accept_new_host_key, c.config.sudo.password)


def _run_on_hosts(c: Any, mode: Mode, only: tuple[str, ...], accept_new_host_key: bool) -> Exit:
    settings = _settings()
    targets = _targets(settings)
    report = RunReport(Reporter(), mode, len(targets))
    outcomes = deployment.plan_or_apply(
        settings,
        targets,
        mode,
        reporter=report.reporter,
        access=_access(c, accept_new_host_key),
        handle=report.handle,
        only=only,
    )
    report.summary(outcomes)
    return deployment.exit_code(outcomes, mode)


@task(help=HELP)
@served_once
def deploy(c: Any, accept_new_host_key: bool = False) -> Exit:
    """Make hosts what hub.toml describes; a second run changes nothing."""
    return _run_on_hosts(c, "apply", (), accept_new_host_key)


@task(help=HELP)
@served_once
def plan(c: Any, accept_new_host_key: bool = False) -> Exit:
    """Show what deploy would change; exit code 3 when there are changes."""
    return _run_on_hosts(c, "plan", (), accept_new_host_key)


@task
@served_once
def verify(c: Any) -> Exit:
    """Check hosts from the outside and the inside."""
    settings = _settings()
    return Exit.DONE if run_checks(settings, _targets(settings), _access(c)) else Exit.FAILED


@task
@served_once
def status(c: Any) -> Exit:
    """Show the status of hosts."""
    settings = _settings()
    found = inspect.status(settings, _targets(settings), _access(c), Reporter())
    show(Reporter(), found, as_json=False)
    return Exit.DONE if all(host.healthy for host in found) else Exit.FAILED


@task(
    help={
        "unit": "a unit of the hub, or a role: docker, culler, …",
        "server": "the server of this account, or account/server",
        "lines": "how many lines back to begin",
    }
)
@served_once
def logs(c: Any, unit: str = "", server: str = "", lines: int = 100, follow: bool = False) -> Exit:
    """Show the log of the hub, of another unit, or of a person's server."""
    settings = _settings()
    inspect.check_logs(unit, server or None, lines)
    if server:
        asked: Any = {"name": server, "lines": lines, "follow": follow}
        known = server_logs(_targets(settings), _access(c), Reporter(), **asked)
        return Exit.DONE if known else Exit.FAILED
    unit = inspect.unit_of(settings, unit or "jupyterhub", Reporter())
    options: Any = {"unit": unit, "lines": lines, "follow": follow}
    shown = inspect.logs(_targets(settings), _access(c), Reporter(), **options)
    return Exit.DONE if shown else Exit.FAILED


def _role_task(role: roles.Role) -> Any:
    """The task that applies one role. Its prefix keeps it apart from the commands, such as status-page."""

    def apply_role(c: Any, accept_new_host_key: bool = False) -> Exit:
        return _run_on_hosts(c, "apply", (role.name,), accept_new_host_key)

    apply_role.__name__ = f"role_{role.name}"
    apply_role.__doc__ = f"Deploy only {role.about}, after what that needs."
    return task(name=f"role-{role.name.replace('_', '-')}", help=HELP)(served_once(apply_role))


for _role in roles.SHIPPED:
    globals()[f"role_{_role.name}"] = _role_task(_role)
