"""The settings: their schema, and the only place that reads them from files.

Layers, the later one over the earlier: `hub.toml`, `site.toml` and `secrets.toml` beside it, then
environment variables `HUBWRIGHT__SECTION__KEY` for keys that are marked as secret.
"""

from .builder import Builder
from .downloads import Downloads
from .loading import ENVIRONMENT_PREFIX, SECRET_PATHS, load, read_toml, secrets_in
from .python import Python
from .reference import explain, markdown, shown
from .section import Section
from .settings import Settings
from .values import (
    is_loopback,
    parse_duration,
    parse_proxy,
    parse_proxy_exception,
    parse_registry,
    parse_size,
)

__all__ = [
    "ENVIRONMENT_PREFIX",
    "SECRET_PATHS",
    "Builder",
    "Downloads",
    "Python",
    "Section",
    "Settings",
    "explain",
    "is_loopback",
    "load",
    "markdown",
    "parse_duration",
    "parse_proxy",
    "parse_proxy_exception",
    "parse_registry",
    "parse_size",
    "read_toml",
    "secrets_in",
    "shown",
]
