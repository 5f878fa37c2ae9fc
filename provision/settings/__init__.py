"""The settings: their schema, and the only place that reads them from files.

Layers, the later one over the earlier: `hub.toml`, `site.toml` and `secrets.toml` beside it, then
environment variables `HUBWRIGHT__SECTION__KEY` for keys that are marked as secret.
"""

from .loading import ENVIRONMENT_PREFIX, SECRET_PATHS, load, read_toml
from .reference import explain, markdown, shown
from .schema import Builder, Python, Section, Settings
from .values import parse_duration, parse_size

__all__ = [
    "ENVIRONMENT_PREFIX",
    "SECRET_PATHS",
    "Builder",
    "Python",
    "Section",
    "Settings",
    "explain",
    "load",
    "markdown",
    "parse_duration",
    "parse_size",
    "read_toml",
    "shown",
]
