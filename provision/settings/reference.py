"""The settings as people read them: all keys with their meaning, and the values in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from provision.errors import SettingsError

from .section import Section
from .settings import Settings

INTRODUCTION = """\
# Settings

Every key of `hub.toml`, made from the schema by `make docs`; `hubwright config explain` prints the same.
`site.toml`, beside it, lies over it and holds what is true of one machine; `secrets.toml` (mode 600) lies
over both. Sizes are written `"512M"` or `"2G"` (powers of 1024), times `"90s"`, `"30m"`, `"1h"` or `"2d"`;
below they stand in bytes and seconds.
"""


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as plain data, every secret masked: safe to print."""
    return settings.model_dump(mode="json", exclude_none=True)


def explain(section: str | None = None) -> str:
    """Every key of one section, or of all, with its default and its meaning."""
    known = dict(_sections())
    if section is not None and section not in known:
        raise SettingsError(f"no section [{section}]", hint=f"the sections are {', '.join(known)}")
    blocks = []
    for name, model in known.items():
        if section in (None, name):
            keys = [f"  {key:<16} {_meaning(field)}" for key, field in model.model_fields.items()]
            blocks.append("\n".join([f"[{name}]  {_about(model)}", *keys]))
    return "\n\n".join(blocks)


def markdown() -> str:
    """The same as a page: docs/settings.md."""
    blocks = [INTRODUCTION]
    for name, model in _sections():
        rows = [f"| `{key}` | {_meaning(field)} |" for key, field in model.model_fields.items()]
        blocks.append("\n".join([f"## [{name}]", "", _about(model), "", "| key | |", "|---|---|", *rows, ""]))
    return "\n".join(blocks)


def _sections() -> Iterator[tuple[str, type[Section]]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield name, field.annotation


def _about(model: type[Section]) -> str:
    return (model.__doc__ or "").strip()


def _meaning(field: FieldInfo) -> str:
    value = ", ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    default = "" if value in (None, "", {}) or field.is_required() else f" Default: {value}."
    return f"{field.description}{_choices(field)}{default}"


def _choices(field: FieldInfo) -> str:
    """The values that a key may have, where these are few and its description does not tell of each."""
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    told = all(f"{value}:" in (field.description or "") for value in values)
    return "" if told else f" One of: {', '.join(values)}."
