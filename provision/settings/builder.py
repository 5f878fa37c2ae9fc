"""The section [builder] of hub.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .section import Section
from .values import PinnedImage


class Builder(Section):
    """This computer as a maker of images. `hubwright init` writes these keys to site.toml."""

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
        description="The keys that sign it, if apt on this computer does not trust them: a file that "
        "all users may read.",
    )

    @property
    def is_ubuntu(self) -> bool:
        """True for Ubuntu: of both families, only its archive has the component universe."""
        return "universe" in self.components.split()

    @property
    def content(self) -> Builder:
        """The keys that decide about the content of images: all but `keyring`."""
        return self.model_copy(update={"keyring": ""})
