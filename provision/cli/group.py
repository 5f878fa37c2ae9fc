"""The group `hubwright`, with the options before every command."""

from __future__ import annotations

from pathlib import Path

import click

from provision.cli.options import Context
from provision.report.reporter import Reporter


class Group(click.Group):
    """Commands in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    default="hub.toml",
    envvar="HUBWRIGHT_CONFIG",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The hub to work on. site.toml and secrets.toml are beside it.",
)
@click.option("-v", "--verbose", count=True, help="More detail; -vv shows tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.version_option(package_name="hubwright")
@click.pass_context
def cli(ctx: click.Context, config: Path, verbose: int, quiet: bool) -> None:
    """One file, hub.toml, describes a JupyterHub; hubwright makes hosts into exactly that.

    \b
    On this computer:     hubwright up
    On an existing host:  hubwright plan  -H user@host
                          hubwright apply -H user@host

    Exit codes: 0 all went well, 1 something failed, 2 a setting or an option is wrong, 3 `plan` found
    something to change.
    """
    ctx.obj = Context(config, Reporter(quiet=quiet, verbose=verbose))
