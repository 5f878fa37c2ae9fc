"""Hidden commands, for the Vagrantfile."""

from __future__ import annotations

import json

import click

from provision.cli.options import Context


@click.command(hidden=True)
@click.option("--provider")
@click.pass_obj
def prepare(ctx: Context, provider: str | None) -> None:
    """Make all that must be there before `vagrant up`; the Vagrantfile calls it."""
    from provision.machines import machine_of

    machine_of(ctx.settings, provider).prepare(ctx.reporter)


@click.command(hidden=True)
@click.option("--access", help="How to log in: JSON with ssh_config's HostName, Port, User and IdentityFile.")
@click.pass_obj
def after_start(ctx: Context, access: str | None) -> None:
    """Correct clock and ports after the machine has started or woken; the Vagrantfile calls it."""
    ctx.machine.after_start(json.loads(access) if access else None)
