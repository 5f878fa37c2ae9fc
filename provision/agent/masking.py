"""Text that may be shown. It imports next to nothing: all that prints needs it, `hubwright --help` too."""

from __future__ import annotations

import re


def without_credentials(text: str) -> str:
    """Programs repeat addresses in their complaints, and a proxy's may hold its password."""
    return re.sub(r"(://)[^/\s:@\"']+:[^/\s@\"']+@", r"\1***@", text)
