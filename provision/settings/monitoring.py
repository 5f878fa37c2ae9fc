"""The section [monitoring] of hub.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .section import Section
from .values import PinnedImage, Port, Retention


class Monitoring(Section):
    """Measurements of the hub: their storage, and access to them."""

    graphite: bool = Field(
        True, description="StatsD and Graphite on the host, fed with the hub's numbers, and /services/status."
    )
    image: PinnedImage | None = Field(
        None,
        description="An image made from images/graphite, in a registry. Default: built like the notebook's.",
    )
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")] = Field(
        "jupyterhub", description="The prefix of the names of the hub's metrics."
    )
    retention: Retention = Field(
        "10s:6h,1m:2d,15m:1y",
        description="How finely and how long Graphite keeps a new metric, finest first.",
    )
    statsd_port: Port = Field(8125, description="UDP on the host's loopback: StatsD.")
    graphite_port: Port = Field(8085, description="TCP on the host's loopback: Graphite's web application.")
    status_port: Port = Field(
        8086, description="TCP on the host's loopback: the status page, behind the proxy."
    )
    public_summary: bool = Field(
        False, description="Every visitor may see the number of people and how quickly servers start."
    )
