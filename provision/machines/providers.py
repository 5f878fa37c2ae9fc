"""All kinds of machines, and the one of a hub."""

from __future__ import annotations

from provision.errors import SettingsError
from provision.machines.docker import DockerMachine
from provision.machines.libvirt import LibvirtMachine
from provision.machines.machine import Machine
from provision.machines.paths import Paths
from provision.machines.virtualbox import VirtualBoxMachine
from provision.settings import Settings

# In the order in which `hubwright init` prefers them.
KINDS: tuple[type[Machine], ...] = (DockerMachine, LibvirtMachine, VirtualBoxMachine)


def machine_of(settings: Settings, provider: str | None = None) -> Machine:
    """The machine of these settings: the one that exists, else one of `provider` or of [vm] provider.

    Raises SettingsError when it exists already and was made with another provider than `provider`.
    """
    made = Paths(settings).made_with()
    if provider and made and provider != made:
        raise SettingsError(
            f"it was made with {made}, not with {provider}",
            where=f"the machine {settings.vm.name}",
            hint="`hubwright destroy` removes it; another hub.toml, with its own [vm] name, gets its own",
        )
    wanted = made or provider or settings.vm.provider
    for kind in KINDS:
        if kind.provider == wanted:
            return kind(settings, KINDS)
    raise SettingsError(
        f"no machine can be raised with {wanted}",
        hint=f"the providers are {', '.join(kind.provider for kind in KINDS)}",
    )
