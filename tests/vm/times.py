"""How long things took, printed when the session ends. Nothing passes or fails by it."""

from __future__ import annotations

_NOTED: list[tuple[str, float]] = []


def note(what: str, seconds: float) -> None:
    _NOTED.append((what, seconds))


def lines() -> list[str]:
    return [f"{what:<60} {seconds:7.1f} s" for what, seconds in _NOTED]
