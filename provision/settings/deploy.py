"""The section [deploy] of hub.toml."""

from __future__ import annotations

from pydantic import Field

from .section import Section
from .values import Duration, HostPort


class Deploy(Section):
    """How runs behave."""

    apt_lock_wait: Duration = Field(300, description="How long a run waits for another apt to end.")
    statsd: HostPort | None = Field(None, description="host:port of a StatsD that receives timings of runs.")
