"""Port 80: sends visitors to https, and shows an ACME server the files that prove whose name it is.

    redirect.py --port 80 --to 443 [--domain hub.example.org] [--webroot DIR]

Standard library only: it runs before the hub's own Python is there.
"""

from __future__ import annotations

import argparse
import re
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CHALLENGE = re.compile(r"/\.well-known/acme-challenge/([A-Za-z0-9_-]+)")  # tokens: RFC 8555, section 8
HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?")


def location(host: str, path: str, port: int, domain: str = "") -> str | None:
    """Where a request for `path` of `host` (the header, maybe with a port) goes; None: it names no host."""
    match = HOST.fullmatch(host)
    name = domain or (match[1] if match else "")
    if not name:
        return None
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    return f"https://{name}{'' if port == 443 else f':{port}'}{path if path.startswith('/') else '/'}"


class Handler(BaseHTTPRequestHandler):
    timeout = 5  # seconds for whoever does not finish a request
    server: Server

    def answer(self) -> None:
        asked = CHALLENGE.fullmatch(self.path)
        if asked and self.server.webroot:
            self._show(self.server.webroot / ".well-known" / "acme-challenge" / asked[1])
            return
        target = location(self.headers.get("Host", ""), self.path, self.server.to, self.server.domain)
        if target is None:
            self._reply(HTTPStatus.BAD_REQUEST, b"which host?\n")
        else:
            self._reply(HTTPStatus.PERMANENT_REDIRECT, b"", Location=target)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def _show(self, path: Path) -> None:
        try:
            self._reply(HTTPStatus.OK, path.read_bytes())
        except OSError:
            self._reply(HTTPStatus.NOT_FOUND, b"no such challenge\n")

    def _reply(self, status: HTTPStatus, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "hubwright"

    def log_message(self, *_: Any) -> None:
        """Nothing: every scanner of the internet knocks here."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, to: int, domain: str, webroot: Path | None) -> None:
        self.to, self.domain, self.webroot = to, domain, webroot
        self.address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        super().__init__(("", port), Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--domain", default="")
    parser.add_argument("--webroot", type=Path)
    given = parser.parse_args()
    Server(given.port, given.to, given.domain, given.webroot).serve_forever()


if __name__ == "__main__":
    main()
