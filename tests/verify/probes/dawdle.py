"""Who sends a head and then nothing: `dawdle.py host:port SECONDS HEAD …`, a HEAD without its blank line.

Prints for each of them, at the same time, after how many seconds it was hung up on; null when it was not.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def dawdle(target: str, patience: float, head: str) -> float | None:
    host, _, port = target.rpartition(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=patience) as connection:
        connection.sendall(f"{head}\r\nHost: x\r\n\r\n".encode())
        try:
            while connection.recv(65536):
                connection.settimeout(max(0.1, began + patience - time.monotonic()))
        except ConnectionResetError:
            pass
        except TimeoutError:
            return None
    return time.monotonic() - began


if __name__ == "__main__":
    target, patience, *heads = sys.argv[1:]
    with ThreadPoolExecutor(len(heads)) as pool:
        print(json.dumps(list(pool.map(lambda head: dawdle(target, float(patience), head), heads))))
