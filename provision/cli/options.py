"""Options that several commands of `hubwright` share, and the hub and hosts that they name."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.errors import Exit, HubwrightError, SettingsError
from provision.report.reporter import Reporter

if TYPE_CHECKING:
    from provision.machines import Machine
    from provision.settings import Settings
    from provision.ssh import Access, Target


@dataclass
class Context:
    """The options before the command."""

    config: Path
    reporter: Reporter

    @functools.cached_property
    def settings(self) -> Settings:
        from provision.settings import load

        return load(self.config)

    @property
    def folder(self) -> Path:
        """The folder of hub.toml."""
        return self.config.absolute().parent

    @property
    def machine(self) -> Machine:
        """The machine that `up` raises, or has raised, from these settings."""
        from provision.machines import machine_of

        return machine_of(self.settings)


@dataclass(frozen=True)
class HostOptions:
    """The options of a command that talks to hosts."""

    hosts: tuple[str, ...] = ()
    identity: Path | None = None
    accept_new_host_key: bool = False
    ask_sudo_password: bool = False

    def targets(self, settings: Settings) -> list[Target]:
        """The named hosts, or the machine that Vagrant raised when none is named."""
        from provision.machines import machine_of

        return named(self.hosts, self.identity) if self.hosts else [machine_of(settings).target()]

    def watcher(self, name: str | None) -> Target | None:
        """The host of --from, which is logged in to as those of -H are."""
        return named([name], self.identity)[0] if name else None

    def access(self) -> Access:
        from provision.ssh import Access

        password = None
        if self.ask_sudo_password:
            password = click.prompt("sudo password on the hosts", hide_input=True, err=True)
        return Access(self.accept_new_host_key, password)


def named(hosts: Iterable[str], identity: Path | None) -> list[Target]:
    """The hosts of -H, one or several in a value. Raises SettingsError when there is none, or no key."""
    from provision.ssh import Target, require_key

    names = [name for value in hosts for name in value.split(",") if name]
    if not names:
        raise SettingsError("-H names no host", hint="write user@host or user@host:port")
    targets = [Target.parse(name, identity) for name in names]
    if identity is not None:
        require_key(identity)
    return targets


def host_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that adds the options of commands that talk to hosts; the command gets them as `on`."""

    @click.option(
        "-H",
        "--host",
        "hosts",
        multiple=True,
        metavar="[USER@]HOST[:PORT]",
        help="An existing host; repeat it or separate with commas. Default: the machine that `up` raised.",
    )
    @click.option(
        "-i",
        "--identity",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Private key to log in with.",
    )
    @click.option(
        "--accept-new-host-key",
        is_flag=True,
        help="Show and note the key of a host that is not known yet. A changed key is always refused.",
    )
    @click.option("--ask-sudo-password", is_flag=True, help="For login users whose sudo wants a password.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        hosts: tuple[str, ...],
        identity: Path | None,
        accept_new_host_key: bool,
        ask_sudo_password: bool,
        **kwargs: Any,
    ) -> Any:
        return command(
            *args, on=HostOptions(hosts, identity, accept_new_host_key, ask_sudo_password), **kwargs
        )

    return wrapped


def consent(question: str, *, yes: bool) -> None:
    """Ask for consent to a removal, unless --yes gave it. Without consent the command ends."""
    if yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise  # ctrl-C
        click.echo(err=True)  # the question's line has no end yet
        what = "a question, and no terminal to answer it; nothing is removed"
        raise HubwrightError(what, hint="add --yes", code=Exit.USAGE) from None
    if not agreed:
        raise HubwrightError("nothing is removed")


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
from_option = click.option(
    "--from",
    "watcher",
    metavar="[USER@]HOST[:PORT]",
    help="Ask the hub's URL from this host, as visitors would, in place of this computer.",
)
role_option = click.option(
    "--only", "only", multiple=True, metavar="ROLE", help="Only this role and what it needs."
)
