"""Send requests that never end: `dawdle.py host:port SECONDS HEAD …`, each HEAD without its blank line.

All are sent at the same time. Prints after how many seconds each connection was closed; null when it was not.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def dawdle(target: str, timeout: float, head: str) -> float | None:
    host, _, port = target.rpartition(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=timeout) as connection:
        connection.sendall(f"{head}\r\nHost: x\r\n\r\n".encode())
        try:
            while connection.recv(65536):
                connection.settimeout(max(0.1, began + timeout - time.monotonic()))
        except ConnectionResetError:
            pass
        except TimeoutError:
            return None
    return time.monotonic() - began


if __name__ == "__main__":
    target, timeout, *heads = sys.argv[1:]
    with ThreadPoolExecutor(len(heads)) as pool:
        print(json.dumps(list(pool.map(lambda head: dawdle(target, float(timeout), head), heads))))
