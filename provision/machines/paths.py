"""The places of notes about a machine: Vagrant's and ours."""

from __future__ import annotations

from pathlib import Path

from provision.settings import Settings
from provision.tools.project import PROJECT

USER = "vagrant"
MACHINE = "default"  # Vagrant's own name for the only machine of a Vagrantfile


class Paths:
    """The files of the machine that one hub.toml describes."""

    def __init__(self, settings: Settings) -> None:
        self.config = settings.root / settings.file
        self.state = settings.state
        self.vagrantfile_folder = settings.root if _is_ours(settings.root / "Vagrantfile") else PROJECT
        # Beside a Vagrantfile, plain `vagrant` keeps its own notes in .vagrant.
        beside = settings.root == self.vagrantfile_folder
        self.dotfile = settings.root / ".vagrant" if beside else self.state / "vagrant"
        self.key = self.state / "ssh" / "id"
        self.environment = self.state / "ssh" / "environment"
        # Address and login, as Vagrant gives them; deleted as soon as they may have changed.
        self.target = self.state / "machine.json"
        self.console = self.state / "console" / "log"
        # Held by the relay as long as it runs.
        self.relay_lock = self.state / "relay.lock"

    def id_file(self, provider: str) -> Path:
        """Vagrant's note that it made the machine with this provider."""
        return self.dotfile / "machines" / MACHINE / provider / "id"

    def made_with(self) -> str | None:
        """The provider of the machine that exists according to Vagrant's notes."""
        notes = self.dotfile / "machines" / MACHINE
        return next((path.parent.name for path in sorted(notes.glob("*/id"))), None)


def _is_ours(vagrantfile: Path) -> bool:
    """True for this project's Vagrantfile, and for one that loads it."""
    try:
        return "HUBWRIGHT_PROGRAM" in vagrantfile.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
