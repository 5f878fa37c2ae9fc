"""`make pins`: every pin of the project as new as its source has it."""

from __future__ import annotations
