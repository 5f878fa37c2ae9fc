"""The facts for the Vagrantfile. It has a stanza for each provider, so each provider adds its part."""

from __future__ import annotations

from typing import Any

from provision.machines.providers import KINDS, machine_of
from provision.settings import Settings


def vagrant_facts(settings: Settings) -> dict[str, Any]:
    """All that the Vagrantfile needs to know, ready for JSON."""
    machine = machine_of(settings)
    facts: dict[str, Any] = {
        "name": machine.name,
        "provider": settings.vm.provider,
        "boot_timeout": settings.vm.boot_timeout,
        "forwards": [list(pair) for pair in machine.ports],
        "target_file": str(machine.paths.target),
        "dotfile": str(machine.paths.dotfile),
    }
    for kind in KINDS:
        facts |= kind(settings).facts()
    return facts
