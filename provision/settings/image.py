"""The section [image] of hub.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .section import Section
from .values import LocalPath, PinnedImage

IMAGE_SOURCES = ("reference", "build", "archive")


class Image(Section):
    """The image of visitors' servers. Exactly one of reference, build and archive."""

    reference: PinnedImage | None = Field(None, description="An image in a registry, with its digest.")
    build: LocalPath | None = Field(None, description="A folder with a Dockerfile that takes BASE.")
    archive: LocalPath | None = Field(None, description="A file that `docker save` wrote.")
    build_on: Literal["host", "builder"] = Field(
        "host", description="builder: this computer builds once and sends the image to its hosts."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Image:
        given = [key for key in IMAGE_SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one of {', '.join(IMAGE_SOURCES)}; found {' and '.join(given) or 'none'}"
            )
        return self
