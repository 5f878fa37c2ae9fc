"""The command `hubwright`. Every command parses, calls one function, and maps its outcome to an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from provision.cli.options import Context, HostOptions, consent, host_options, json_option, role_option
from provision.errors import Exit, HubwrightError
from provision.report.reporter import Reporter

if TYPE_CHECKING:
    from provision.agent.events import Mode

# Modules that cost time to import (paramiko, pydantic, rich) are imported where they are used, so that
# --help and completion answer at once.


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
    help="The hub to work on. site.toml and secrets.toml lie beside it.",
)
@click.option("-v", "--verbose", count=True, help="More words; -vv shows tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.version_option(package_name="hubwright")
@click.pass_context
def cli(ctx: click.Context, config: Path, verbose: int, quiet: bool) -> None:
    """One file, hub.toml, describes a JupyterHub; hubwright makes a machine into exactly that.

    \b
    On this computer:     hubwright up
    On an existing host:  hubwright plan  -H user@host
                          hubwright apply -H user@host

    Exit codes: 0 all went well, 1 something failed, 2 a setting or an option is wrong, 3 `plan` found
    something to change.
    """
    ctx.obj = Context(config, Reporter(quiet=quiet, verbose=verbose))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def new(ctx: Context, folder: Path) -> None:
    """Start a hub in a folder of its own: hub.toml, the notebook image, a Vagrantfile and a fabfile.

    All commands work from there, `vagrant up` and `fab deploy` too. FOLDER must be new or empty.
    """
    from provision import own_folder

    own_folder.create(folder, ctx.reporter)


@cli.command()
@click.option("--force", is_flag=True, help="Look again and replace site.toml.")
@click.pass_obj
def init(ctx: Context, force: bool) -> None:
    """Find out what this computer can do and write it to site.toml."""
    from provision import own_folder
    from provision.survey import site

    site.init(ctx.config, ctx.reporter, force=force)
    if own_folder.is_own_folder(ctx.folder):
        own_folder.link_programs(ctx.folder)


@cli.command()
@click.option(
    "--provider", type=click.Choice(["docker", "libvirt", "virtualbox"]), help="Default: [vm] provider."
)
@click.pass_obj
def up(ctx: Context, provider: str | None) -> None:
    """Raise the machine with Vagrant, deploy onto it, and print the hub's URL."""
    from provision.deploy import converge
    from provision.machines import machine_of
    from provision.own_folder import is_own_folder

    if is_own_folder(ctx.folder) and not (ctx.folder / "site.toml").exists():
        click.get_current_context().invoke(init, force=False)
    converge.check(ctx.settings)
    machine = machine_of(ctx.settings, provider)
    machine.up(ctx.reporter)
    _converge(ctx, HostOptions(), "apply", (), as_json=False)
    ctx.reporter.result(machine.url())


@cli.command()
@host_options
@role_option
@json_option
@click.pass_obj
def plan(ctx: Context, on: HostOptions, only: tuple[str, ...], as_json: bool) -> None:
    """Show what `apply` would change. Exit code 3 when that is anything."""
    _converge(ctx, on, "plan", only, as_json=as_json)


@cli.command()
@host_options
@role_option
@json_option
@click.pass_obj
def apply(ctx: Context, on: HostOptions, only: tuple[str, ...], as_json: bool) -> None:
    """Make hosts what hub.toml describes. A second run changes nothing."""
    _converge(ctx, on, "apply", only, as_json=as_json)


@cli.command(context_settings={"ignore_unknown_options": True})
@host_options
@click.argument("pytest_args", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def verify(ctx: Context, on: HostOptions, pytest_args: tuple[str, ...]) -> None:
    """Check hosts from the outside and the inside: the visit, the limits, the locks on the doors.

    Further arguments go to pytest, for example `-k visit` or `-x`.
    """
    from provision.deploy.verify import verify as run

    if not run(ctx.settings, on.targets(ctx.settings), on.access(), pytest_args):
        raise SystemExit(Exit.FAILED)


@cli.command()
@host_options
@json_option
@click.pass_obj
def status(ctx: Context, on: HostOptions, as_json: bool) -> None:
    """Say how the hosts are. Exit code 1 when one of them is not well."""
    from provision.deploy import inspect
    from provision.report.status import show

    found = inspect.status(ctx.settings, on.targets(ctx.settings), on.access())
    show(ctx.reporter, found, as_json=as_json)
    if not all(host.healthy for host in found):
        raise SystemExit(Exit.FAILED)


@cli.command()
@click.pass_obj
def url(ctx: Context) -> None:
    """Print the URL of the hub on the machine that `up` raised."""
    ctx.reporter.result(ctx.machine.url())


@cli.command()
@host_options
@click.pass_obj
def status_page(ctx: Context, on: HostOptions) -> None:
    """Print a link to the whole status page. It lets its bearer in once, within ten minutes."""
    from provision.deploy import inspect

    targets, access = on.targets(ctx.settings), on.access()
    for target in targets:
        ticket = inspect.ticket(target, access)
        door = inspect.front_door(ctx.settings, target) if on.hosts else ctx.machine.url()
        ctx.reporter.result(f"{door.rstrip('/')}{ticket}")


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def ssh(ctx: Context, command: tuple[str, ...]) -> None:
    """Log in to the machine that `up` raised, or run a command there."""
    argv = ctx.machine.ssh_argv(command)
    os.execvp(argv[0], argv)


@cli.command()
@host_options
@click.option(
    "--unit",
    default="jupyterhub",
    show_default=True,
    help="A unit of the hub's, or a role: docker, culler, …",
)
@click.option(
    "--server", metavar="NAME", help="A person's: an account, or account/server. Ended ones are kept a while."
)
@click.option("-n", "--lines", default=100, show_default=True, help="How many lines back to begin.")
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.pass_obj
def logs(ctx: Context, on: HostOptions, unit: str, server: str | None, lines: int, follow: bool) -> None:
    """Show the log of the hub, of another unit, or of a person's server."""
    from provision.deploy import inspect
    from provision.deploy.server_logs import server_logs

    if server is not None:
        targets, access = on.targets(ctx.settings), on.access()
        if not server_logs(targets, access, ctx.reporter, name=server, lines=lines, follow=follow):
            raise SystemExit(Exit.FAILED)
        return
    unit = inspect.unit_of(ctx.settings, unit)
    targets, access = on.targets(ctx.settings), on.access()
    if not inspect.logs(targets, access, ctx.reporter, unit=unit, lines=lines, follow=follow):
        raise SystemExit(Exit.FAILED)


@cli.command()
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

    Everything is in it but what is one machine's own: SSH host keys, certificate, tokens, databases, logs.
    Each copy makes those at its first boot, and needs no network for that. `[vm] box` takes the file: the
    next `up` has little left to do.

    The machine itself is removed.
    """
    from provision import baking

    baking.check(ctx.settings, file, with_secrets=with_secrets)
    consent(f"Remove the machine {ctx.settings.vm.name}, its work included?", yes=yes)
    _converge(ctx, HostOptions(), "apply", (), as_json=False)
    baking.bake(ctx.settings, ctx.reporter, file)
    ctx.machine.destroy(ctx.reporter)


@cli.command("cloud-init")
@click.option(
    "--parts",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write what is too large for user-data here: the hub's parts and its images.",
)
@click.option("--part-url", metavar="URL", help="Where instances find what you publish of --parts.")
@click.option(
    "--host-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Give the instance this SSH host key, made now if FILE is not there. Its private half stands in "
    "the user-data.",
)
@click.option(
    "--known-as",
    multiple=True,
    metavar="HOST[:PORT]",
    help="With --host-key: note the key in known_hosts for this name or address of the instance.",
)
@click.option(
    "--authorized-key",
    "authorized_keys",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A public key that may log in as the image's own user. Most platforms give theirs.",
)
@click.option("--with-secrets", is_flag=True, help="Put the settings' secrets into the user-data.")
@click.option("--limit", default="16K", show_default=True, metavar="SIZE", help="What your platform takes.")
@click.pass_obj
def cloud_init(ctx: Context, /, **options: Any) -> None:
    """Write user-data that makes a cloud instance the hub by itself, without SSH.

    \b
    hubwright cloud-init --limit 400K > user-data
    hubwright cloud-init --parts parts --part-url https://files.example.org/hub > user-data

    The first form is for platforms that take user-data of that size. The second keeps it small: publish the
    files of `parts` at that URL before the instance starts; it checks them by SHA-256. They hold no secrets.

    On the instance `cloud-init status --wait` says how it ended, `journalctl -u hubwright-first-boot` what
    was done. A first boot that is cut off is finished at the next one. From then on `hubwright plan -H` and
    `apply -H` work on it as on every host.
    """
    from provision.first_boot import cloud_init
    from provision.ssh import Access

    wanted = cloud_init.Options(**options)
    ctx.reporter.raw(cloud_init.user_data(ctx.settings, ctx.reporter, wanted, Access()))


@cli.command()
@host_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def destroy(ctx: Context, on: HostOptions, yes: bool) -> None:
    """Remove the machine that `up` raised; from a named host, remove everything that apply made there."""
    from provision.deploy import inspect

    if on.hosts:
        names = ", ".join(target.name for target in on.targets(ctx.settings))
        gone = ", ".join(inspect.data(ctx.settings))
        what = f"everything of the hub on {names} (with {gone})"
    else:
        what = f"the machine {ctx.settings.vm.name}"
    consent(f"Remove {what}, visitors' work included?", yes=yes)
    if on.hosts:
        _converge(ctx, on, "apply", (), as_json=False, remove=True)
    else:
        ctx.machine.destroy(ctx.reporter)


@cli.group(cls=Group)
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
    """Say whether the settings are valid."""
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
    """Print what a web server in front of the hub needs (tls.mode behind-proxy)."""
    from provision.deploy.vhost import vhost

    ctx.reporter.result(vhost(ctx.settings, server).rstrip())


@config.command("vagrantfile", hidden=True)
@click.pass_obj
def config_vagrantfile(ctx: Context) -> None:
    """Print where Hubwright's Vagrantfile is; the one of a hub's own folder asks."""
    from provision.tools.project import PROJECT

    ctx.reporter.result(str(PROJECT / "Vagrantfile"))


@config.command("vm", hidden=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def config_vm(ctx: Context, as_json: bool) -> None:  # noqa: ARG001 - JSON is the only form
    """What the Vagrantfile needs to know."""
    from provision.machines import vagrant_facts

    ctx.reporter.json(vagrant_facts(ctx.settings))


@cli.command(hidden=True)
@click.option("--provider")
@click.pass_obj
def prepare(ctx: Context, provider: str | None) -> None:
    """What must be there before `vagrant up`; the Vagrantfile calls it."""
    from provision.machines import machine_of

    machine_of(ctx.settings, provider).prepare(ctx.reporter)


@cli.command(hidden=True)
@click.option("--access", help="How to log in: JSON with ssh_config's HostName, Port, User and IdentityFile.")
@click.pass_obj
def after_start(ctx: Context, access: str | None) -> None:
    """What a machine needs that has just started or woken; the Vagrantfile calls it."""
    ctx.machine.after_start(json.loads(access) if access else None)


def _converge(
    ctx: Context, on: HostOptions, mode: Mode, only: tuple[str, ...], *, as_json: bool, remove: bool = False
) -> None:
    from provision.deploy import converge
    from provision.report.run import RunReport

    targets = on.targets(ctx.settings)
    report = RunReport(ctx.reporter, mode, len(targets))
    access = on.access()
    with ctx.reporter.running("connecting"):
        outcomes = converge.converge(
            ctx.settings,
            targets,
            mode,
            reporter=ctx.reporter,
            access=access,
            handle=report.handle,
            only=only,
            remove=remove,
        )
    report.summary(outcomes)
    if as_json:
        ctx.reporter.json(report.as_json(outcomes))
    code = converge.exit_code(outcomes, mode)
    if code is not Exit.DONE:
        raise SystemExit(code)


def main() -> None:
    """The entry point: every HubwrightError, and what the system refuses, is one screen and an exit code."""
    try:
        cli(standalone_mode=False)
    except HubwrightError as error:
        _end(error)
    except OSError as error:  # but for a pipe that nobody reads any more: click ends silently then
        _drop_output()
        where = "" if error.filename is None else str(error.filename)
        hint = "mend that and run it again; with -vv it says where that happened"
        _end(HubwrightError(error.strerror or str(error), where=where, hint=hint))
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt) as stop:
        if isinstance(stop.__context__, EOFError) and not sys.stdin.isatty():
            what = "nobody is there to answer that"
            _end(HubwrightError(what, hint="run it in a terminal", code=Exit.USAGE))
        Reporter().line("stopped; run it again to go on where it stopped")
        sys.exit(Exit.FAILED)


def _end(error: HubwrightError) -> NoReturn:
    if "-vv" in sys.argv:
        Reporter().line(traceback.format_exc().rstrip())
    Reporter().error(error)
    sys.exit(error.code)


def _drop_output() -> None:
    """What standard output cannot be rid of: Python would complain of it once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
