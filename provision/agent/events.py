"""What the agent and the driver say to each other: the only definition, used on both sides."""

from __future__ import annotations

from typing import Any, Literal

Mode = Literal["plan", "apply", "generalize"]
Event = dict[str, Any]
