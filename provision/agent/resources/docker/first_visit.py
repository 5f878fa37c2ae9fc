"""A program of its own: a stand-in for the hub and the first visitor of a server, in a container's network.

Arguments: the process id of the server on this host, its port and path, the hub's port, and seconds.
Prints a JSON object: `status` and `version` (JupyterHub's) of the first answer; empty when none came.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VERSION_HEADER = "X-JupyterHub-Version"  # every answer of a server of JupyterHub has it
ATTEMPT_EVERY = 0.1  # seconds
ANSWER_TIMEOUT = 5.0  # seconds for one answer


class Hub(BaseHTTPRequestHandler):
    """A stand-in for the hub, which a server asks for its version before it listens."""

    def do_GET(self) -> None:
        body = b'{"version": ""}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing: standard output belongs to the result."""


def visit(process: int, port: int, path: str, seconds: float) -> dict[str, Any]:
    """The first answer below status 500; empty when the server's process ends or time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and os.path.exists(f"/proc/{process}"):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT)
            connection.request("GET", path)
            answer = connection.getresponse()
            if answer.status < 500:
                return {"status": answer.status, "version": answer.getheader(VERSION_HEADER, "")}
        time.sleep(ATTEMPT_EVERY)
    return {}


def main(process: str, port: str, path: str, hub_port: str, seconds: str) -> None:
    hub = ThreadingHTTPServer(("127.0.0.1", int(hub_port)), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps(visit(int(process), int(port), path, float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
