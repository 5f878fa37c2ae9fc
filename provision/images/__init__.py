"""Images made on this computer: the base, the host of Vagrant's docker provider, and what hosts run."""

from __future__ import annotations

from .base import base_image, base_image_tag, bootstrap, digest
from .cache import alone, cache_folder
from .context import context, own_context
from .making import ensure_archive, ensure_host_image
from .recipes import Recipe, graphite, host_image_tag, recipe_context, recipe_tag
from .recipes import notebook as notebook  # the word in quotes would be the image's name

__all__ = [
    "Recipe",
    "alone",
    "base_image",
    "base_image_tag",
    "bootstrap",
    "cache_folder",
    "context",
    "digest",
    "ensure_archive",
    "ensure_host_image",
    "graphite",
    "host_image_tag",
    "own_context",
    "recipe_context",
    "recipe_tag",
]
