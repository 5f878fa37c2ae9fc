"""Serve port 80: send visitors to https, and show an ACME server the files that prove who owns the name.

    redirect.py --port 80 --to 443 [--domain hub.example.org] [--webroot DIR]

Standard library only: it runs before the hub's own Python is there.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

CHALLENGE = re.compile(r"/\.well-known/acme-challenge/([A-Za-z0-9_-]+)")  # tokens: RFC 8555, section 8
REQUEST_TIMEOUT = 5.0  # seconds for a complete request
MAX_REQUEST = 16384  # bytes of a request
UNFINISHED = (OSError, ValueError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError)
HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?")


def location(host: str, path: str, port: int, domain: str = "") -> str | None:
    """The https URL for `path` of `host` (the header, maybe with a port); None when that names no host."""
    match = HOST.fullmatch(host)
    name = domain or (match[1] if match else "")
    if not name:
        return None
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    return f"https://{name}{'' if port == 443 else f':{port}'}{path if path.startswith('/') else '/'}"


# A proxy that ends https and passes plain requests on would be sent back to itself, for ever.
LOOP = (
    b"A proxy has received this request by https and passes it on to the port that leads to https.\n"
    b'Let it pass requests on by https, to port %d, or set [tls] mode = "behind-proxy" in hub.toml.\n'
)


@dataclass(frozen=True)
class Redirect:
    """The server. `to` is the port of https, `webroot` the folder of challenges, if there is one."""

    to: int
    domain: str = ""
    webroot: Path | None = None

    def answer(self, method: str, path: str, host: str, scheme: str = "") -> bytes:
        """The complete answer to a request. `host` is its header, `scheme` the visitor's, as a proxy says."""
        asked = CHALLENGE.fullmatch(path)
        if asked and self.webroot:
            try:
                body = (self.webroot / ".well-known" / "acme-challenge" / asked[1]).read_bytes()
            except OSError:
                return reply(method, HTTPStatus.NOT_FOUND, b"no such challenge\n")
            return reply(method, HTTPStatus.OK, body)
        if scheme == "https":
            return reply(method, HTTPStatus.MISDIRECTED_REQUEST, LOOP % self.to)
        target = location(host, path, self.to, self.domain)
        if target is None:
            return reply(method, HTTPStatus.BAD_REQUEST, b"which host?\n")
        return reply(method, HTTPStatus.PERMANENT_REDIRECT, b"", f"Location: {target}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request. An unfinished one gets no answer, and none is logged: every scanner of the
        internet comes by here.
        """
        with contextlib.suppress(*UNFINISHED):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_TIMEOUT)
            writer.write(self.answer(*parse_request(head.decode("latin-1"))))
        writer.close()


def parse_request(head: str) -> tuple[str, str, str, str]:
    """Method, path, and the headers Host and X-Forwarded-Proto, which may be missing.

    Raises ValueError when `head` is no request.
    """
    request, *lines = head.split("\r\n")
    method, path, _ = request.split(" ")
    if not (path.isascii() and path.isprintable()):  # it goes into a header of the answer
        raise ValueError("no such path")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), value.strip())
    return method, path, headers.get("host", ""), headers.get("x-forwarded-proto", "").lower()


def reply(method: str, status: HTTPStatus, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Server: hubwright", "Connection: close", *headers]
    lines += ["Content-Type: text/plain", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if method == "HEAD" else body)


async def listen(redirect: Redirect, port: int) -> None:
    """Serve on every address of both families, until the end."""
    server = await asyncio.start_server(redirect.serve, None, port, limit=MAX_REQUEST)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--domain", default="")
    parser.add_argument("--webroot", type=Path)
    given = parser.parse_args()
    asyncio.run(listen(Redirect(given.to, given.domain, given.webroot), given.port))


if __name__ == "__main__":
    main()
