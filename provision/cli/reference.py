"""The commands as people read them: each with its arguments and options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from provision.cli import cli

INTRODUCTION = """\
# Commands

Made from the program by `make docs`; `hubwright COMMAND --help` says the same. Exit codes and JSON:
[output.md](output.md).
"""


def markdown() -> str:
    """The page docs/reference/commands.md."""
    return "\n".join([INTRODUCTION, *_commands(cli, "hubwright")])


def _commands(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield "\n".join([f"## {name}", "", f"    {usage}", "", *_about(command), *_options(command, context)])
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from _commands(found, f"{name} {below}")


def _about(command: click.Command) -> Iterator[str]:
    """The help's paragraphs. One that click must not wrap begins with \\b, and stays as it is here too."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        first, _, rest = paragraph.partition("\n")
        if first == "\b":
            yield from (f"    {line}" for line in rest.splitlines())
        else:
            yield " ".join(paragraph.split())
        yield ""


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [found for each in command.params if (found := each.get_help_record(context)) and found[1]]
    if records:
        yield from ("| option | |", "|---|---|")
        yield from (f"| `{names}` | {meaning} |" for names, meaning in map(_cell, records))
        yield ""


def _cell(record: tuple[str, str]) -> tuple[str, str]:
    names, meaning = record
    return names.replace("|", "\\|"), " ".join(meaning.replace("|", "\\|").split())
