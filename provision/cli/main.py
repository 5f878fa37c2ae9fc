"""The program `hubwright`: its commands in order, and one screen for every error."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click

from provision.cli import cloud, config, hosts, internal, look, machine
from provision.cli.group import cli
from provision.errors import Exit, HubwrightError
from provision.report.reporter import Reporter

# `hubwright --help` lists them in this order.
COMMANDS = (
    machine.new,
    machine.init,
    machine.up,
    hosts.plan,
    hosts.apply,
    look.verify,
    look.status,
    machine.url,
    look.status_page,
    machine.ssh,
    look.logs,
    machine.bake,
    cloud.cloud_init,
    hosts.destroy,
    config.config,
    internal.prepare,
    internal.after_start,
)
for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line. Every HubwrightError and OSError becomes one screen and an exit code."""
    try:
        cli(standalone_mode=False)
    except HubwrightError as error:
        _end(error)
    except OSError as error:  # except for a pipe whose reader has gone: click ends silently then
        _drop_output()
        where = "" if error.filename is None else str(error.filename)
        hint = "correct that, then repeat the command; -vv shows where it happened"
        _end(HubwrightError(error.strerror or str(error), where=where, hint=hint))
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt) as stop:
        if isinstance(stop.__context__, EOFError) and not sys.stdin.isatty():
            what = "a question, and no terminal to answer it"
            _end(HubwrightError(what, hint="run it in a terminal", code=Exit.USAGE))
        Reporter().line("stopped; repeat the command to go on from there")
        sys.exit(Exit.FAILED)


def _end(error: HubwrightError) -> NoReturn:
    if "-vv" in sys.argv:
        Reporter().line(traceback.format_exc().rstrip())
    Reporter().error(error)
    sys.exit(error.code)


def _drop_output() -> None:
    """Drop the output that cannot be written: Python would report that error once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
