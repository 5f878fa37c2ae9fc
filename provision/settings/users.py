"""The section [users] of hub.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from .section import Section
from .values import AccountName


class Users(Section):
    """People whom the hub knows by name."""

    admins: Annotated[tuple[AccountName, ...], Field(strict=False)] = Field(
        (), description="Accounts that may see and end all servers; not with temporary accounts."
    )

    @field_validator("admins")
    @classmethod
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f'names "{twice[0]}" twice')
        return names
