"""The web server: Graphite, and /health, which says if all three parts work."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "graphite.settings")

import waitress
from graphite.wsgi import application as graphite

CARBON = ("127.0.0.1", 2003)
STATSD = ("127.0.0.1", 8126)  # its management port

Respond = Callable[[str, "list[tuple[str, str]]"], Any]


def application(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/health":
        answer: Iterable[bytes] = graphite(environ, respond)
        return answer
    found = health()
    status = "200 OK" if found["carbon"] and found["statsd"] else "503 Service Unavailable"
    respond(status, [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


def health() -> dict[str, Any]:
    """The state of the parts. `statsd` is false once StatsD was asked to end: its last flush may be over.

    `started` and `flushed` are StatsD's, in Unix time: numbers from before `flushed` are with carbon.
    """
    try:
        socket.create_connection(CARBON, timeout=1).close()
        carbon = True
    except OSError:
        carbon = False
    try:
        said = _ask_statsd("stats")
    except OSError:
        return {"carbon": carbon, "statsd": False}
    numbers = dict(re.findall(r"^([\w.]+): (\d+)$", said, re.MULTILINE))
    return {
        "carbon": carbon,
        "statsd": numbers.get("orderly.leaving") == "0",
        "started": int(time.time()) - int(numbers.get("uptime", 0)),
        "flushed": int(numbers.get("graphite.last_flush", 0)),
    }


def _ask_statsd(question: str) -> str:
    with socket.create_connection(STATSD, timeout=1) as connection:
        connection.sendall(f"{question}\n".encode())
        said = b""
        while b"END" not in said:
            part = connection.recv(4096)
            if not part:
                break
            said += part
    return said.decode()


if __name__ == "__main__":
    logging.disable(logging.INFO)  # Graphite would log every query
    waitress.serve(application, listen="0.0.0.0:8080", threads=3)
