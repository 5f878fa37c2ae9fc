"""The section [network] of hub.toml."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import Field

from .section import Section
from .values import Range, Subnet, UserPort


class Network(Section):
    """The network that notebook servers and the hub share."""

    subnet: Subnet = Field("172.30.0.0/20", description="IPv4 range, free on the host, at least a /24.")
    blocked: Annotated[tuple[Range, ...], Field(strict=False)] = Field(
        (),
        description="IPv4 ranges beyond the host that notebooks do not reach, except for DNS: for example "
        "a LAN. Mirrors and proxies that notebooks use must be outside them. "
        "169.254.0.0/16, where clouds keep their metadata, is always blocked.",
    )
    hub_port: UserPort = Field(
        8081,
        description="TCP port of the hub's API on the notebooks' network, for servers, the proxy and "
        "services of the hub. Servers that run when it changes lose their hub until they start again.",
    )
    proxy_api_port: UserPort = Field(
        8001, description="TCP port of the proxy's API on the host's loopback, for the hub."
    )

    @property
    def gateway(self) -> str:
        """The host's own address on that network; the hub listens there."""
        return str(IPv4Network(self.subnet)[1])

    @property
    def hub_url(self) -> str:
        """The hub's own address, for notebook servers, the proxy and services; visitors never use it."""
        return f"http://{self.gateway}:{self.hub_port}"

    @property
    def proxy_api_url(self) -> str:
        return f"http://127.0.0.1:{self.proxy_api_port}"
