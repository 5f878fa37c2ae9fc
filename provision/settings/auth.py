"""The section [auth] of hub.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .section import Section


class Auth(Section):
    """Who may enter."""

    type: Literal["tmp"] = Field("tmp", description="tmp: every visit gets an account of its own.")
