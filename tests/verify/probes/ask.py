"""`ask URL HEADER=VALUE…`: print status, headers and cookies of one answer; follow no redirect."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
from typing import Any
from urllib.parse import urlsplit


def ask(url: str, headers: dict[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        any_certificate = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=10, context=any_certificate)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", parts.path or "/", headers=headers)
    answer = connection.getresponse()
    cookies = answer.headers.get_all("Set-Cookie") or []
    return {"status": answer.status, "location": answer.headers.get("Location"), "cookies": cookies}


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:]))))
