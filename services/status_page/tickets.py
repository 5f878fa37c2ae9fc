"""Signed words that say until when somebody may look. Pure, apart from the clock that callers pass in.

Where accounts come and go with visitors, none of them is an operator's. Whoever may log in to the host may
look at the status page: the host writes a ticket, good for minutes and for one visit, and the page gives a
cookie for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

TICKET = 600  # seconds
COOKIE = 12 * 3600


def write(key: bytes, purpose: str, now: float, seconds: int) -> str:
    """A word for `purpose`, good for so long. No two are alike."""
    content = f"{int(now) + seconds}.{secrets.token_hex(8)}"
    return f"{content}.{_signature(key, purpose, content)}"


def good_until(key: bytes, purpose: str, word: str, now: float) -> int:
    """The time at which it ends; 0 when it is not ours, for something else, or over."""
    content, _, signature = word.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(key, purpose, content).encode()):
        return 0
    until = int(content.partition(".")[0])
    return until if until > now else 0


def _signature(key: bytes, purpose: str, content: str) -> str:
    return hmac.new(key, f"{purpose}:{content}".encode(), hashlib.sha256).hexdigest()
