"""The section [server] of hub.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from .section import Section
from .values import Duration, ServerMemory, SizeLimit, StartPage, Timeout, Variable

_LEAST_DISK = 64 * 1024**2


class Server(Section):
    """The limits of one visitor's server, and its lifetime."""

    memory: ServerMemory = Field(1024**3, description="Hard limit of memory.", validate_default=True)
    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(1.0, description="Hard limit, in cores.")
    pids: Annotated[int, Field(ge=32)] = Field(256, description="Processes and threads at once.")
    disk: SizeLimit = Field(
        10 * 1024**3,
        description="Most that a server may write; one that has written more is ended. 0: no limit.",
    )
    max_servers: Annotated[int, Field(ge=0)] = Field(
        100, description="Servers at once; later visitors wait until one ends. 0: no limit."
    )
    starts_at_once: Annotated[int, Field(ge=0)] = Field(
        0, description="Servers that start at once; the others wait in line. 0: as the host's cores allow."
    )
    start_timeout: Timeout = Field(
        60, description="A server that is not ready by then, counted from its turn to start, has failed."
    )
    idle_timeout: Duration = Field(
        3600,
        description="Idle servers end after this, at least 6 minutes, with temporary accounts; 0: never.",
    )
    max_age: Duration = Field(
        0, description="Servers end after this even when busy; 0: no limit. Needs idle_timeout."
    )
    open: StartPage | None = Field(
        None,
        description="The first page: a file such as welcome.ipynb, which JupyterLab opens, or a path such as "
        "/tree or /voila/render/demo.ipynb. Default: the image's own.",
    )
    environment: dict[Variable, str] = Field({}, description="Variables for every server.")
    secrets: dict[Variable, SecretStr] = Field(
        {}, description="Variables whose values only secrets.toml or the environment may give."
    )

    @model_validator(mode="after")
    def _server_has_room(self) -> Server:
        if 0 < self.disk < _LEAST_DISK:
            raise ValueError('disk should be 0 or at least "64M": a server writes a little by itself')
        return self

    @model_validator(mode="after")
    def _culler_can_tell(self) -> Server:
        # The hub refreshes last_activity every 300 s: a shorter limit would end servers of people at work.
        if 0 < self.idle_timeout < 360:
            raise ValueError(
                'idle_timeout should be 0 or at least "6m": activity is reported every 5 minutes'
            )
        if self.max_age and not self.idle_timeout:
            raise ValueError("max_age needs idle_timeout: the culler ends both")
        return self
