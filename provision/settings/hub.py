"""The section [hub] of hub.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .section import Section
from .values import Domain, Origin, Port


class Hub(Section):
    """The service that visitors reach."""

    domain: Domain = Field("", description="Name or address that visitors use.")
    port: Port = Field(
        443, description="TCP port on the host. With tls.mode behind-proxy the default is 8000, with off 80."
    )
    title: str = Field("JupyterHub", description="The name of the service, on every page of the hub.")
    announcement: str = Field("", description="One line shown on the hub's own pages.")
    frame_ancestors: Annotated[tuple[Origin, ...], Field(strict=False)] = Field(
        (),
        description="Sites whose pages may show the hub and its servers in a frame, such as "
        '"https://lms.example.org". Needs https.',
    )
