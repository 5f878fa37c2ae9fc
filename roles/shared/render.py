"""Templates. A name that a template uses and its caller does not give is an error, not an empty string."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from roles.shared import paths

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parents[1]),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701 - units of systemd, no HTML
)
_ENVIRONMENT.globals["paths"] = {key: value for key, value in vars(paths).items() if key.isupper()}


def render(template: str, **values: Any) -> str:
    """The text of `roles/<template>`; the constants of roles.shared.paths are there as `paths`."""
    return _ENVIRONMENT.get_template(template).render(**values)
