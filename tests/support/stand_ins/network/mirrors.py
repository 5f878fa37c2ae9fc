"""Mirrors of packages: a web server that passes on real archives' answers, and notes all requests."""

from __future__ import annotations

import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.pki import Issued

PASSED_ON = ("Accept", "If-Modified-Since", "Range", "User-Agent")
HANDED_BACK = ("Content-Type", "Last-Modified", "ETag", "Content-Range", "Accept-Ranges")
INDEXES = ("json", "html")  # kinds of answers that name other addresses of the archive


@dataclass(frozen=True)
class Shelves:
    """The mirrors, folders of the server at `url`. `asked`: paths, in order."""

    url: str
    asked: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def get_request(self) -> tuple[ssl.SSLSocket, object]:
        """Leave the handshake to the connection's own thread, so that a slow one delays no other."""
        connection, client = super().get_request()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), client

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def shelves(address: str, issued: Issued, folder: Path, upstream: dict[str, str]) -> Iterator[Shelves]:
    """A server of mirrors. `upstream`: the folder of each, and the address of its archive."""
    certificate = folder / "downloads.pem"
    certificate.write_text(issued.key() + issued.pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            opened.asked.append(self.path)
            place, _, rest = self.path.lstrip("/").partition("/")
            headers = {name: value for name in PASSED_ON if (value := self.headers[name])}
            request = urllib.request.Request(f"{upstream[place]}/{rest}", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self._hand_back(answer.status, answer.headers, answer.read())
            except urllib.error.HTTPError as error:
                self._hand_back(error.code, error.headers, error.read())

        def _hand_back(self, status: int, headers: object, content: bytes) -> None:
            kind = headers["Content-Type"] or ""  # type: ignore[index]
            if any(word in kind for word in INDEXES):
                for place, there in upstream.items():
                    content = content.replace(there.encode(), f"{opened.url}/{place}".encode())
            self.send_response(status)
            for name in HANDED_BACK:
                if value := headers[name]:  # type: ignore[index]
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if status != 304 and self.command != "HEAD":
                self.wfile.write(content)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with _Server((address, 0), Handler) as server:
        server.context = context
        opened = Shelves(f"https://{address}:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield opened
        finally:
            server.shutdown()
