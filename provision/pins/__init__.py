"""`make pins`: every pin of the project renewed to the newest of its source."""

from __future__ import annotations
