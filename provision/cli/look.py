"""Commands that look at hosts and change nothing there."""

from __future__ import annotations

import click

from provision.cli.options import Context, HostOptions, from_option, host_options, json_option
from provision.errors import Exit


@click.command(context_settings={"ignore_unknown_options": True})
@host_options
@from_option
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def verify(ctx: Context, on: HostOptions, watcher: str | None, pytest_args: tuple[str, ...]) -> None:
    """Check hosts from the outside and the inside: a visit, the limits, the closed doors.

    Further arguments go to pytest, for example `-k visit` or `-x`.
    """
    from provision.deploy.verify import verify as run

    targets = on.targets(ctx.settings)
    if not run(ctx.settings, targets, on.access(), pytest_args, watcher=on.watcher(watcher)):
        raise SystemExit(Exit.FAILED)


@click.command()
@host_options
@json_option
@click.pass_obj
def status(ctx: Context, on: HostOptions, as_json: bool) -> None:
    """Show the status of hosts. Exit code 1 when one of them is not well."""
    from provision.deploy import inspect
    from provision.report.status import show

    found = inspect.status(ctx.settings, on.targets(ctx.settings), on.access(), ctx.reporter)
    show(ctx.reporter, found, as_json=as_json)
    if not all(host.healthy for host in found):
        raise SystemExit(Exit.FAILED)


@click.command()
@host_options
@click.pass_obj
def status_page(ctx: Context, on: HostOptions) -> None:
    """Print a link to the complete status page. It works once, within ten minutes."""
    from provision.deploy import inspect

    targets, access = on.targets(ctx.settings), on.access()
    for target in targets:
        ticket = inspect.ticket(target, access)
        address = inspect.hub_url(ctx.settings, target) if on.hosts else ctx.machine.url()
        ctx.reporter.result(f"{address.rstrip('/')}{ticket}")


@click.command()
@host_options
@click.option(
    "--unit",
    metavar="NAME",
    help="A unit of the hub, or a role: docker, culler, …  [default: jupyterhub]",
)
@click.option(
    "--server",
    metavar="NAME",
    help="A person's server: an account, or account/server. Ended ones are kept a while.",
)
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    metavar="NUMBER",
    help="How many lines back to begin.",
)
@click.option("-f", "--follow", is_flag=True, help="Show new lines until interrupted.")
@click.pass_obj
def logs(
    ctx: Context, on: HostOptions, unit: str | None, server: str | None, lines: int, follow: bool
) -> None:
    """Show the log of the hub, of another unit, or of a person's server."""
    from provision.deploy import inspect
    from provision.deploy.server_logs import server_logs

    inspect.check_logs(unit, server, lines)
    if server is not None:
        targets, access = on.targets(ctx.settings), on.access()
        if not server_logs(targets, access, ctx.reporter, name=server, lines=lines, follow=follow):
            raise SystemExit(Exit.FAILED)
        return
    unit = inspect.unit_of(ctx.settings, unit or "jupyterhub", ctx.reporter)
    targets, access = on.targets(ctx.settings), on.access()
    if not inspect.logs(targets, access, ctx.reporter, unit=unit, lines=lines, follow=follow):
        raise SystemExit(Exit.FAILED)
