"""Commands for this computer and for the machine that `hubwright up` raises."""

from __future__ import annotations

import os
from pathlib import Path

import click

from provision.cli.hosts import run_on_hosts
from provision.cli.options import Context, HostOptions, consent
from provision.errors import SettingsError


@click.command()
@click.argument("folder")
@click.pass_obj
def new(ctx: Context, folder: str) -> None:
    """Start a hub in a folder of its own: hub.toml, the notebook image, a Vagrantfile and a fabfile.

    All commands work from there, `vagrant up` and `fab deploy` too. FOLDER must be new or empty.
    """
    from provision import own_folder

    if not folder.strip():
        raise SettingsError("the folder's name is empty", hint="name a new folder; `.` is this one")
    own_folder.create(Path(folder), ctx.reporter)


@click.command()
@click.option("--force", is_flag=True, help="Try everything again and replace site.toml.")
@click.pass_obj
def init(ctx: Context, force: bool) -> None:
    """Find out what this computer can do and write it to site.toml."""
    from provision import own_folder
    from provision.survey import site

    site.init(ctx.config, ctx.reporter, force=force)
    if own_folder.is_own_folder(ctx.folder):
        own_folder.link_programs(ctx.folder)


@click.command()
@click.option(
    "--provider", type=click.Choice(["docker", "libvirt", "virtualbox"]), help="Default: [vm] provider."
)
@click.pass_obj
def up(ctx: Context, provider: str | None) -> None:
    """Raise the machine with Vagrant, apply hub.toml to it, and print the hub's URL."""
    from provision.deploy import apply
    from provision.machines import machine_of
    from provision.own_folder import is_own_folder

    if is_own_folder(ctx.folder) and not (ctx.folder / "site.toml").exists():
        click.get_current_context().invoke(init, force=False)
    apply.check(ctx.settings)
    machine = machine_of(ctx.settings, provider)
    machine.up(ctx.reporter)
    run_on_hosts(ctx, HostOptions(), "apply", (), as_json=False)
    ctx.reporter.result(machine.url())


@click.command()
@click.pass_obj
def url(ctx: Context) -> None:
    """Print the URL of the hub on the machine that `up` raised. Exit code 1 when it does not run."""
    ctx.machine.check_running()
    ctx.reporter.result(ctx.machine.url())


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def ssh(ctx: Context, command: tuple[str, ...]) -> None:
    """Log in to the machine that `up` raised, or run a command there."""
    argv = ctx.machine.ssh_argv(command)
    os.execvp(argv[0], argv)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-secrets", is_flag=True, help="Leave the settings' secrets in the image.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def bake(ctx: Context, file: Path, with_secrets: bool, yes: bool) -> None:
    """Turn the machine that `up` raised into a file that new machines start from.

    \b
    hubwright up
    hubwright bake hub.tar          # provider docker
    hubwright bake hub.box          # provider libvirt; hub.qcow2 for clouds

    It holds everything except what belongs to one machine: SSH host keys, certificate, tokens, databases,
    logs. Each copy makes those at its first boot, and needs no network for that. `[vm] box` takes the
    file: the next `up` has little left to do.

    The machine itself is removed.
    """
    from provision import baking

    baking.check(ctx.settings, file, with_secrets=with_secrets)
    consent(f"Remove the machine {ctx.settings.vm.name}, its work included?", yes=yes)
    run_on_hosts(ctx, HostOptions(), "apply", (), as_json=False)
    baking.bake(ctx.settings, ctx.reporter, file)
    ctx.machine.destroy(ctx.reporter)
