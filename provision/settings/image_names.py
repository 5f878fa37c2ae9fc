"""The names of images that are made for hubs, on this computer and on hosts."""

from __future__ import annotations

IMAGES = "hubwright"  # the names of all of them begin with it
NOTEBOOK = "notebook"  # of visitors' servers
GRAPHITE = "graphite"
