"""The section [builder] of hub.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .section import Section
from .values import PinnedImage


class Builder(Section):
    """This machine, as far as images are made on it. Written to site.toml by `hubwright init`."""

    base: Literal["registry", "archive"] = Field(
        "registry", description="archive: no registry answers; base images come from `apt`."
    )
    image: PinnedImage = Field(
        "ubuntu:24.04@sha256:a08e551cb33850e4740772b38217fc1796a66da2506d312abe51acda354ff061",
        description="The base image where a registry answers.",
    )
    apt: str = Field("", description="The archive that base = 'archive' is made from.")
    suite: str = Field("", description="Its suite, for example bookworm.")
    components: str = Field("main", description="Its components, for example main universe.")
    security: str = Field("", description="The archive of <suite>-security, when it has one.")
    keyring: str = Field(
        "",
        description="The keys that sign it, where apt on this machine does not trust them: a file that "
        "everybody may read.",
    )

    @property
    def is_ubuntu(self) -> bool:
        """Of the two families only Ubuntu's archive has that component, and a hub's packages are in it."""
        return "universe" in self.components.split()

    @property
    def content(self) -> Builder:
        """What decides about the images that are made; keys decide only whether they are."""
        return self.model_copy(update={"keyring": ""})
