"""Try connections: `reach.py host:port …` prints the list of those that are accepted."""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 2.0


def reach(target: str) -> bool:
    host, _, port = target.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    targets = sys.argv[1:]
    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        answers = list(pool.map(reach, targets))
    print(json.dumps([target for target, answer in zip(targets, answers, strict=True) if answer]))
