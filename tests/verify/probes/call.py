"""Ask the hub's API with a file's token: `call.py URL FILE 'METHOD /path' …` prints each status and body."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path


def call(url: str, token: str, method: str, path: str) -> list[object]:
    sent = b"{}" if method == "POST" else None
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url + path, sent, headers, method=method)) as answer:
            body = answer.read().decode()
            is_json = answer.headers.get_content_type() == "application/json"
            return [answer.status, json.loads(body or "null") if is_json else body]
    except urllib.error.HTTPError as error:
        return [error.code, None]


if __name__ == "__main__":
    url, file, *calls = sys.argv[1:]
    token = Path(file).read_text(encoding="ascii").strip().partition("=")[2]
    print(json.dumps([call(url, token, *line.split()) for line in calls]))
