"""Where the notes of a machine are kept: Vagrant's and ours."""

from __future__ import annotations

from pathlib import Path

from provision.settings import Settings
from provision.tools.project import PROJECT

USER = "vagrant"
MACHINE = "default"  # Vagrant's own name for the only machine of a Vagrantfile


def dotfile(settings: Settings) -> Path:
    """Vagrant's own notes. Beside the Vagrantfile it is where plain `vagrant` looks for them."""
    return PROJECT / ".vagrant" if settings.root == PROJECT else settings.state / "vagrant"


def id_file(settings: Settings, provider: str) -> Path:
    return dotfile(settings) / "machines" / MACHINE / provider / "id"


def made_with(settings: Settings) -> str | None:
    """The provider of the machine that exists according to Vagrant's notes."""
    notes = dotfile(settings) / "machines" / MACHINE
    return next((path.parent.name for path in sorted(notes.glob("*/id"))), None)


def provider(settings: Settings) -> str:
    """Of the machine that exists, or else of the one that the settings ask for."""
    return made_with(settings) or settings.vm.provider


def key(settings: Settings) -> Path:
    return settings.state / "ssh" / "id"


def environment_file(settings: Settings) -> Path:
    return settings.state / "ssh" / "environment"


def target_file(settings: Settings) -> Path:
    """How to log in, as Vagrant says; gone as soon as that may have changed."""
    return settings.state / "machine.json"


def console_file(settings: Settings) -> Path:
    """What a virtual machine wrote to its serial console."""
    return settings.state / "console" / "log"


def relay_lock(settings: Settings) -> Path:
    """Held by the relay as long as it runs."""
    return settings.state / "relay.lock"
