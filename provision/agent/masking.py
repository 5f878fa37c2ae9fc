"""Text that may be shown. Imports almost nothing, because `hubwright --help` needs it too."""

from __future__ import annotations

import re


def without_credentials(text: str) -> str:
    """The text without user and password in URLs: error messages of programs may contain a proxy's."""
    return re.sub(r"(://)[^/\s:@\"']+:[^/\s@\"']+@", r"\1***@", text)
