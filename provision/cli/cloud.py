"""The command for machines that become hubs by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provision.cli.options import Context


@click.command("cloud-init")
@click.option(
    "--parts",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Folder for all that is too large for user-data: the hub's parts and its images.",
)
@click.option("--part-url", metavar="URL", help="The URL at which you publish the files of --parts.")
@click.option(
    "--host-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Give the instance this SSH host key, made now if FILE does not exist. The user-data holds its "
    "private half.",
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
@click.option(
    "--limit",
    default="16K",
    show_default=True,
    metavar="SIZE",
    help="The most that your platform takes.",
)
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
