"""Signed tokens that let a person look at the status page until a given time. Pure: callers pass in the time.

No account of a hub with temporary accounts is an operator's. So a person who may log in to the host may look:
the host writes a ticket, good for minutes and for one visit, and the page gives a cookie for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

TICKET = 600  # seconds
COOKIE = 12 * 3600


def write(key: bytes, purpose: str, now: float, seconds: int) -> str:
    """A token for `purpose`, good for so many seconds. No two are alike."""
    content = f"{int(now) + seconds}.{secrets.token_hex(8)}"
    return f"{content}.{_signature(key, purpose, content)}"


def good_until(key: bytes, purpose: str, word: str, now: float) -> int:
    """The time at which a token ends; 0 when it is not ours, for another purpose, or over."""
    content, _, signature = word.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(key, purpose, content).encode()):
        return 0
    until = int(content.partition(".")[0])
    return until if until > now else 0


def _signature(key: bytes, purpose: str, content: str) -> str:
    return hmac.new(key, f"{purpose}:{content}".encode(), hashlib.sha256).hexdigest()
