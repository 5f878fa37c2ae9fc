"""Images of complete hubs, without anything that belongs to one machine.

The settings are applied to the machine that `up` raised; it is generalized, stopped and turned into a file.
Each copy makes its own keys, certificate, tokens and databases at its first boot, and needs no network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provision import first_boot
from provision.baking import container, disk
from provision.deploy import apply
from provision.deploy.bundle import PlacedFile
from provision.errors import HubwrightError, SettingsError
from provision.machines import Machine, machine_of
from provision.report.reporter import Reporter
from provision.report.run import RunReport
from provision.settings import Settings, secrets_in
from provision.ssh import Access


@dataclass(frozen=True)
class Kind:
    """A kind of file. `export` stops the machine and writes it; `files` are in it beside the hub's."""

    export: Callable[[Machine, Path, Reporter], None]
    files: Callable[[], list[PlacedFile]] = list


KINDS = {
    ".tar": Kind(container.export),
    ".box": Kind(disk.export_box, disk.box_files),
    ".qcow2": Kind(disk.export_disk),
}


def check(settings: Settings, output: Path, *, with_secrets: bool) -> None:
    """Check all that `bake` needs, while the machine is still complete.

    Raises SettingsError when the provider has no file of that kind, when the file cannot be written, or when
    it would hold secrets.
    """
    _kind(machine_of(settings), output)
    secrets = secrets_in(settings)
    if secrets and not with_secrets:
        raise SettingsError(
            f"the settings hold secrets: {', '.join(secrets)}",
            where=str(settings.root / settings.file),
            hint="every copy would hold them; add --with-secrets if that is acceptable",
        )
    folder = output.absolute().parent
    if not folder.is_dir():
        raise SettingsError("there is no such folder", where=str(folder), hint="make it, or name another")
    try:
        with tempfile.NamedTemporaryFile(prefix=".hubwright-", dir=folder):
            pass
    except OSError as error:
        raise SettingsError(
            f"cannot be written: {error.strerror}",
            where=str(output),
            hint="name a file in a folder where you may write",
        ) from None


def bake(settings: Settings, reporter: Reporter, output: Path) -> None:
    """Turn the machine that `up` raised into the file `output`, after `check`.

    The machine itself is generalized by that.
    """
    machine = machine_of(settings)
    kind = _kind(machine, output)
    target = machine.target()
    sources, _ = apply.image_sources(settings, reporter)
    made = first_boot.bundle(settings, apply.steps(settings, sources), {})
    files = [*first_boot.files(made), first_boot.host_keys_unit(), *kind.files()]

    report = RunReport(reporter, "generalize", 1)
    with reporter.step(f"generalize {machine.where}"):
        outcome = apply.generalize(settings, target, files, access=Access(), handle=report.handle)
    if outcome.failed:
        report.summary([outcome])
        raise HubwrightError(
            "could not be generalized",
            where=machine.where,
            hint="correct what is named above, then repeat the command",
        )
    kind.export(machine, output, reporter)
    reporter.line(f"✓ {output} ({output.stat().st_size / 1e6:.0f} MB)")


def _kind(machine: Machine, output: Path) -> Kind:
    if output.suffix not in machine.becomes:
        raise SettingsError(
            f"machines of the provider {machine.provider} become {' or '.join(machine.becomes) or 'no file'}",
            where=str(output),
            hint="let the name end so, or choose another [vm] provider",
        )
    return KINDS[output.suffix]
