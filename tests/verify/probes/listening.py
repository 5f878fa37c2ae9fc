"""Print a JSON list of the TCP ports that programs listen on, at any address. See proc_net(5)."""

from __future__ import annotations

import json
from pathlib import Path

LISTENING = "0A"


def ports(table: str) -> set[int]:
    rows = [line.split() for line in table.splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENING}


if __name__ == "__main__":
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    found = set[int]().union(*(ports(table.read_text()) for table in tables if table.exists()))
    print(json.dumps(sorted(found)))
