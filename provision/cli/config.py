"""Commands that show and check the settings."""

from __future__ import annotations

import click

from provision.cli.group import Group
from provision.cli.options import Context, json_option


@click.group(cls=Group)
def config() -> None:
    """Show and check the settings, with all files that they come from."""


@config.command("show")
@json_option
@click.pass_obj
def config_show(ctx: Context, as_json: bool) -> None:
    """Print the settings in force, secrets masked."""
    import tomli_w

    from provision.settings import shown

    if as_json:
        ctx.reporter.json(shown(ctx.settings))
    else:
        ctx.reporter.result(tomli_w.dumps(shown(ctx.settings)).rstrip())


@config.command("check")
@click.pass_obj
def config_check(ctx: Context) -> None:
    """Check the settings and the files that they name, as `plan` does before it connects to a host."""
    from provision.deploy import apply

    apply.check(ctx.settings)
    ctx.reporter.line(f"✓ {ctx.settings.root / ctx.settings.file} is valid")


@config.command("explain")
@click.argument("section", required=False)
@click.pass_obj
def config_explain(ctx: Context, section: str | None) -> None:
    """List every key with its default and its meaning."""
    from provision.settings import explain

    ctx.reporter.result(explain(section))


@config.command("vhost")
@click.argument("server", type=click.Choice(["nginx", "apache"]))
@click.pass_obj
def config_vhost(ctx: Context, server: str) -> None:
    """Print the configuration of a web server in front of the hub (tls.mode behind-proxy)."""
    from provision.deploy.vhost import vhost

    ctx.reporter.result(vhost(ctx.settings, server).rstrip())


@config.command("vagrantfile", hidden=True)
@click.pass_obj
def config_vagrantfile(ctx: Context) -> None:
    """Print the path of Hubwright's Vagrantfile, for the one in a hub's own folder."""
    from provision.tools.project import PROJECT

    ctx.reporter.result(str(PROJECT / "Vagrantfile"))


@config.command("vm", hidden=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def config_vm(ctx: Context, as_json: bool) -> None:  # noqa: ARG001 - JSON is the only form
    """Print the facts that the Vagrantfile needs."""
    from provision.machines import vagrant_facts

    ctx.reporter.json(vagrant_facts(ctx.settings))
