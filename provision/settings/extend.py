"""[extend]: the operator's own configuration, packages, roles and commands."""

from __future__ import annotations

import shlex
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from .section import Section
from .values import LocalPath


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueError(f"should be a command as a shell takes it: {error}") from None
    if not words:
        raise ValueError('should be a command such as "./announce.sh --quiet"')
    return value


Command = Annotated[str, AfterValidator(_command)]


class Extend(Section):
    """Your own code, for what no other key does. Paths start at hub.toml's folder."""

    hub_config: Annotated[tuple[LocalPath, ...], Field(strict=False)] = Field(
        (),
        description="Files of JupyterHub configuration, loaded last and in this order. A faulty one is "
        "refused before the running hub is touched.",
    )
    packages: LocalPath | None = Field(
        None,
        description="A file of requirements with versions and hashes (`uv pip compile --generate-hashes "
        "requirements.in -o requirements.txt`), into the hub's own environment.",
    )
    roles: Annotated[tuple[LocalPath, ...], Field(strict=False)] = Field(
        (), description="Python files with a role each, treated like the shipped ones."
    )
    before_apply: Annotated[tuple[Command, ...], Field(strict=False)] = Field(
        (), description="Commands on this computer before an apply; one that fails stops it before it begins."
    )
    after_apply: Annotated[tuple[Command, ...], Field(strict=False)] = Field(
        (), description="Commands on this computer after an apply that went well on every host."
    )

    @model_validator(mode="after")
    def _different_names(self) -> Extend:
        names = [path.name for path in self.hub_config]  # roles stay on this computer, so theirs may repeat
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"hub_config: two files are called {twice[0]}, and hosts have one folder for them"
            )
        return self
