"""Take memory and write to all of it: `fill_memory.py BYTES`. Prints how much it got, if it lives."""

from __future__ import annotations

import json
import sys

CHUNK = 16 << 20

if __name__ == "__main__":
    wanted = int(sys.argv[1])
    kept: list[bytes] = []
    while len(kept) * CHUNK < wanted:
        kept.append(b"x" * CHUNK)
    print(json.dumps(len(kept) * CHUNK))
