"""The section [network] of hub.toml."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import Field

from .section import Section
from .values import Range, Subnet


class Network(Section):
    """The network that notebook servers and the hub share."""

    subnet: Subnet = Field("172.30.0.0/20", description="IPv4 range, free on the host, at least a /24.")
    blocked: Annotated[tuple[Range, ...], Field(strict=False)] = Field(
        (),
        description="IPv4 ranges beyond the host that notebooks do not reach, except for DNS: for example "
        "a LAN. Mirrors and proxies that notebooks use must be outside them. "
        "169.254.0.0/16, where clouds keep their metadata, is always blocked.",
    )

    @property
    def gateway(self) -> str:
        """The host's own address on that network; the hub listens there."""
        return str(IPv4Network(self.subnet)[1])
