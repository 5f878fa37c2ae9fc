"""Run the culler's own code once, as if only one user had been idle: `cull.py URL FILE USER`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from jupyterhub_idle_culler import cull_idle

if __name__ == "__main__":
    url, file, user = sys.argv[1:]

    def only_this_one(*, server: dict[str, Any], **_: Any) -> bool:
        return str(server["url"]).startswith(f"/user/{user}/")

    token = Path(file).read_text(encoding="ascii").strip().partition("=")[2]
    logger = logging.getLogger("culler")
    asyncio.run(cull_idle(url, token, inactive_limit=0, logger=logger, cull_arbiter=only_this_one))
    print(json.dumps("done"))
