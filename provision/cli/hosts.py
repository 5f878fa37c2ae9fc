"""Commands that change hosts, or show what would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import (
    Context,
    HostOptions,
    consent,
    from_option,
    host_options,
    json_option,
    role_option,
)
from provision.errors import Exit

if TYPE_CHECKING:
    from provision.agent.events import Mode


@click.command()
@host_options
@role_option
@json_option
@click.pass_obj
def plan(ctx: Context, on: HostOptions, only: tuple[str, ...], as_json: bool) -> None:
    """Show what `apply` would change. Exit code 3 when there are changes."""
    run_on_hosts(ctx, on, "plan", only, as_json=as_json)


@click.command()
@host_options
@role_option
@json_option
@from_option
@click.pass_obj
def apply(ctx: Context, on: HostOptions, only: tuple[str, ...], as_json: bool, watcher: str | None) -> None:
    """Make hosts what hub.toml describes. A second run changes nothing."""
    run_on_hosts(ctx, on, "apply", only, as_json=as_json, watcher=watcher)


@click.command()
@host_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def destroy(ctx: Context, on: HostOptions, yes: bool) -> None:
    """Remove the machine that `up` raised; from a named host, remove everything that apply made there."""
    from provision.deploy import inspect

    if on.hosts:
        names = ", ".join(target.name for target in on.targets(ctx.settings))
        gone = ", ".join(inspect.data(ctx.settings, ctx.reporter))
        what = f"everything of the hub on {names} (with {gone})"
    else:
        what = f"the machine {ctx.settings.vm.name}"
    consent(f"Remove {what}, visitors' work included?", yes=yes)
    if on.hosts:
        run_on_hosts(ctx, on, "apply", (), as_json=False, remove=True)
    else:
        ctx.machine.destroy(ctx.reporter)


def run_on_hosts(
    ctx: Context,
    on: HostOptions,
    mode: Mode,
    only: tuple[str, ...],
    *,
    as_json: bool,
    remove: bool = False,
    watcher: str | None = None,
) -> None:
    from provision.deploy.apply import exit_code, plan_or_apply
    from provision.report.run import RunReport

    targets = on.targets(ctx.settings)
    report = RunReport(ctx.reporter, mode, len(targets))
    access = on.access()
    with ctx.reporter.running("connecting"):
        outcomes = plan_or_apply(
            ctx.settings,
            targets,
            mode,
            reporter=ctx.reporter,
            access=access,
            handle=report.handle,
            only=only,
            remove=remove,
            watcher=on.watcher(watcher),
        )
    report.summary(outcomes)
    if as_json:
        ctx.reporter.json(report.as_json(outcomes))
    code = exit_code(outcomes, mode)
    if code is not Exit.DONE:
        raise SystemExit(code)
