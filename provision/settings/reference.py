"""The settings for people: all keys with their meaning, and the values in force."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from provision.errors import SettingsError

from .section import Section, is_section, variants
from .settings import Settings

INTRODUCTION = """\
# Settings

Every key of `hub.toml`, made from the schema by `make docs`; `hubwright config explain` prints the same.
`site.toml`, beside it, overrides it with the settings of one computer; `secrets.toml` (mode 600) overrides
both. Sizes are written `"512M"` or `"2G"` (powers of 1024), times `"90s"`, `"30m"`, `"1h"` or `"2d"`;
below they are in bytes and seconds.
"""


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as plain data, every secret masked: safe to print."""
    return settings.model_dump(mode="json", exclude_none=True)


def explain(section: str | None = None) -> str:
    """Every key of one section, or of all, with its default and its meaning."""
    known = _sections()
    if section is not None and section not in known:
        raise SettingsError(f"no section [{section}]", hint=f"the sections are {', '.join(known)}")
    blocks = []
    for name, models in known.items():
        for kind, model in models.items() if section in (None, name) else ():
            keys = [f"  {key:<16} {_meaning(field)}" for key, field in model.model_fields.items()]
            blocks.append("\n".join([f"[{name}]{_type(kind)}  {_about(model)}", *keys]))
    return "\n\n".join(blocks)


def markdown() -> str:
    """The same as Markdown: docs/reference/settings.md."""
    blocks = [INTRODUCTION]
    for name, models in _sections().items():
        for kind, model in models.items():
            rows = [f"| `{key}` | {_meaning(field)} |" for key, field in model.model_fields.items()]
            title = f"## [{name}]{_type(kind)}"
            blocks.append("\n".join([title, "", _about(model), "", "| key | |", "|---|---|", *rows, ""]))
    return "\n".join(blocks)


def _sections() -> dict[str, dict[str, type[Section]]]:
    """The variants of each section by type; a section without variants is under ""."""
    found: dict[str, dict[str, type[Section]]] = {}
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if is_section(kind):
            found[name] = {"": kind}
        elif variants(kind):
            found[name] = variants(kind)
    return found


def _type(kind: str) -> str:
    return f' type = "{kind}"' if kind else ""


def _about(model: type[Section]) -> str:
    return " ".join((model.__doc__ or "").split())


def _meaning(field: FieldInfo) -> str:
    value = ", ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    default = "" if value in (None, "", {}) or field.is_required() else f" Default: {value}."
    return f"{field.description}{_choices(field)}{default}"


def _choices(field: FieldInfo) -> str:
    """The values that a key may have, if they are few and its description does not explain each."""
    values = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    told = all(f"{value}:" in (field.description or "") for value in values)
    return "" if told else f" One of: {', '.join(values)}."
