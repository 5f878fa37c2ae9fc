"""Reasons of failed starts: words for the visitor, the log and the API, and a count by reason."""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client import Summary

REASONS = ("timeout", "error", "http_timeout", "http_error")

# One metric has both: how many starts failed, and how long people had waited by then.
FAILED = Summary("hubwright_failed_starts_seconds", "Starts that failed, by reason", ["reason"])
for _reason in REASONS:
    FAILED.labels(_reason)  # so that a reason is there before its first failure


def reason_of(error: BaseException, started: bool) -> str:
    """One of REASONS, the words that JupyterHub's StatsD support had.

    `started`: the server had answered, and the hub was about to ask it over HTTP.
    """
    late = isinstance(error, (TimeoutError, asyncio.TimeoutError)) or _said(error) == "timeout"
    kind = "timeout" if late else "error"
    return f"http_{kind}" if started else kind


def _said(error: BaseException) -> Any:
    """The reason that the hub itself gave the error: "timeout" for any of its three classes of time-outs."""
    return getattr(error, "reason", None)


def give_words(error: BaseException, words: str) -> str:
    """Make the failure say `words` where it says nothing; returns what it says now.

    The hub shows a visitor str(error) while the page waits, and jupyterhub_message everywhere else.
    asyncio's time-out has neither.
    """
    if not str(error).strip():
        error.args = (words,)
    if not str(error).strip():  # a class with a __str__ of its own
        error.jupyterhub_message = words  # type: ignore[attr-defined]
        return words
    # A web.HTTPError has a log_message, which the hub words by itself.
    if not getattr(error, "jupyterhub_message", None) and not hasattr(error, "log_message"):
        error.jupyterhub_message = str(error)  # type: ignore[attr-defined]
    return str(error)
