"""The section [python] of hub.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .section import Section
from .values import Channel, PythonVersion, Sha256, WebAddress


class Python(Section):
    """The source of the hub's interpreter and Node."""

    provider: Literal["miniconda", "system"] = Field(
        "miniconda",
        description="miniconda: conda's packages, the same on every distribution. "
        "system: the distribution's python3, and Node from PyPI.",
    )
    distribution: Literal["miniconda", "miniforge"] = Field(
        "miniconda", description="Whose installer brings conda; its version is pinned."
    )
    installer: WebAddress | None = Field(None, description="URL of another installer, or of a mirror's copy.")
    sha256: Sha256 | None = Field(None, description="The published checksum of that installer.")
    channels: Annotated[tuple[Channel, ...], Field(strict=False, min_length=1)] = Field(
        ("conda-forge",), description="Where packages come from, by name or URL; no other is asked."
    )
    version: PythonVersion = Field(
        "3.13", description="The interpreter's version: two numbers for the newest of them, or three."
    )
    node: Annotated[int, Field(ge=20)] = Field(24, description="Node's major version.")

    @model_validator(mode="after")
    def _installer_is_pinned(self) -> Python:
        if self.installer and not self.sha256:
            raise ValueError("installer needs sha256 beside it: nothing unchecked runs on a host")
        if self.sha256 and not self.installer:
            raise ValueError("sha256 belongs to an installer of your own; that of the default is known")
        return self
