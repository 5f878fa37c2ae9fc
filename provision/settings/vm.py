"""The section [vm] of hub.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .section import Section
from .values import Box, MachineDisk, MachineMemory, Port, PortPair, Timeout


class Vm(Section):
    """The machine that `hubwright up` and `vagrant up` raise."""

    provider: Literal["docker", "libvirt", "virtualbox"] = Field("docker", description="Vagrant's.")
    accelerator: Literal["kvm", "emulation"] = Field(
        "kvm", description="For libvirt. emulation: QEMU without KVM, many times slower."
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")] = Field(
        "hubwright", description="Name of the machine, unique on this computer."
    )
    box: Box = Field(
        "cloud-image/ubuntu-24.04",
        description="For libvirt and virtualbox: a name in Vagrant's catalogue, or a .box file here. "
        "archive: made here, from the archive that [builder] names; for libvirt. "
        "For docker: a .tar that `hubwright bake` wrote.",
    )
    cpus: Annotated[int, Field(ge=1)] = Field(2, description="For libvirt and virtualbox.")
    memory: MachineMemory = Field(4 * 1024**3, description="For libvirt and virtualbox.")
    disk: MachineDisk = Field(
        20 * 1024**3, description="For libvirt and virtualbox; a box may bring a larger one."
    )
    boot_timeout: Timeout = Field(300, description="How long a starting machine may take to answer SSH.")
    port: Port = Field(8000, description="Port on 127.0.0.1 of this computer that leads to the hub.")
    forward: Annotated[tuple[PortPair, ...], Field(strict=False)] = Field(
        (), description='More ports, as "port here:port in the machine"; on 127.0.0.1 too.'
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Vm:
        here = [self.port, *(here for here, _ in self.forwards)]
        if len(here) != len(set(here)):
            raise ValueError("forward: every port of this computer leads to one port of the machine")
        return self

    @property
    def forwards(self) -> tuple[tuple[int, int], ...]:
        """`forward` as numbers: port here, port in the machine."""
        pairs = (pair.split(":") for pair in self.forward)
        return tuple((int(here), int(there)) for here, there in pairs)
