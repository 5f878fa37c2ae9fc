"""A program that asks a hub's URL as a visitor would: `python3 -c … QUESTION` prints JSON with the `fault`.

The question is JSON with `url`, which ends in a slash, and `trusted`: the certificate has to be one that
browsers accept. Standard library only; it changes nothing, and no account is made by it.
"""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
import sys
from typing import Any
from urllib.parse import urljoin, urlsplit

ANSWER_TIMEOUT = 8.0  # seconds for a connection, and for an answer
MAX_REDIRECTS = 5
MAX_ADDRESSES = 4
HUB_HEADER = "X-JupyterHub-Version"  # every answer of a hub has it
# A computer without IPv6, or without IPv4, cannot tell whether people who have it get in.
NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def fault(url: str, trusted: bool) -> str:
    """The reason why a visitor's request does not arrive at the hub; empty when it does, at every address."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"{host} does not resolve ({error.strerror or error})"
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))[:MAX_ADDRESSES]
    reasons: list[str] = []
    unreachable: list[str] = []
    for address in addresses:
        try:
            reason = _answer(url, host, address, port, trusted)
        except OSError as error:
            reason = _words(error)
            if error.errno in NO_WAY:
                unreachable.append(f"{address}: {reason}")
                continue
        if reason:
            reasons.append(reason if address == host or len(addresses) == 1 else f"{address}: {reason}")
    if len(unreachable) == len(addresses):
        reasons = unreachable
    return f"{url} {'; '.join(reasons)}" if reasons else ""


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that browsers refuse: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return f"does not answer within {ANSWER_TIMEOUT:.0f} s"
    return f"does not answer: {error.strerror or error}"


def _answer(url: str, host: str, address: str, port: int, trusted: bool) -> str:
    """The reason why this address does not lead to the hub; empty when it does. Raises OSError."""
    place = urljoin(url, "hub/health")
    seen: list[str] = []
    while True:
        seen.append(place)
        status, headers = _ask(place, host, address, port, trusted)
        target = headers.get("Location")
        if not (300 <= status < 400 and target):
            break
        place = urljoin(place, target)
        if place in seen or len(seen) > MAX_REDIRECTS:
            return f"redirects without end, to {place}"
        parts = urlsplit(place)
        if parts.hostname != host:
            return f"leads to {place}"
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
    if status != 200:
        return f"answers {status} at {urlsplit(place).path}"
    return "" if headers.get(HUB_HEADER) else "is answered by another program than the hub"


def _ask(
    place: str, host: str, address: str, port: int, trusted: bool
) -> tuple[int, http.client.HTTPMessage]:
    parts = urlsplit(place)
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT)
    connection.sock = socket.create_connection((address, port), timeout=ANSWER_TIMEOUT)
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            if not trusted:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", parts.path, headers={"Host": parts.netloc})
        answer = connection.getresponse()
    except http.client.HTTPException as error:
        raise OSError(f"it does not speak HTTP ({type(error).__name__})") from None
    finally:
        connection.close()
    return answer.status, answer.headers


def main(question: str) -> None:
    asked: dict[str, Any] = json.loads(question)
    sys.stdout.write(json.dumps({"fault": fault(asked["url"], asked["trusted"])}))


if __name__ == "__main__":
    main(sys.argv[1])
