"""The base class of every table of hub.toml."""

from __future__ import annotations

from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def is_section(annotation: Any) -> TypeGuard[type[Section]]:
    """True for the class of a table; False for a union of them, and for a single value."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def variants(annotation: Any) -> dict[str, type[Section]]:
    """The sections of a union by their `type`, the default first. Empty for any other annotation."""
    sections = [kind for kind in get_args(annotation) if is_section(kind)]
    return {get_args(section.model_fields["type"].annotation)[0]: section for section in sections}
