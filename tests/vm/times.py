"""Durations, printed when the session ends. No test passes or fails by them."""

from __future__ import annotations

_NOTED: list[tuple[str, float]] = []


def note(what: str, seconds: float) -> None:
    _NOTED.append((what, seconds))


def lines() -> list[str]:
    return [f"{what:<60} {seconds:7.1f} s" for what, seconds in _NOTED]
