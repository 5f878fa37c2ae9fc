"""What images that are made for hubs are called, on this computer and on hosts."""

from __future__ import annotations

IMAGES = "hubwright"  # the names of all of them begin with it
NOTEBOOK = "notebook"  # what visitors run
GRAPHITE = "graphite"
