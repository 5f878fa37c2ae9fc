"""Open pages as a browser does: `page.py URL …` prints status, headers and text of each, redirects done.

With `--behind` first it does so as a web server that browsers speak https with.
"""

from __future__ import annotations

import http.cookiejar
import json
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence


def page(url: str, encrypted: Sequence[str]) -> list[object]:
    """Status, headers and text of a page. `encrypted`: schemes over which secure cookies travel."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE  # test_tls.py looks at the certificate
    policy = http.cookiejar.DefaultCookiePolicy(secure_protocols=encrypted)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=anybody),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar(policy)),
    )
    try:
        answer = opener.open(url, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return [answer.status, headers, answer.read().decode()]


if __name__ == "__main__":
    behind = sys.argv[1] == "--behind"
    schemes = ("http", "https") if behind else ("https",)
    print(json.dumps([page(url, schemes) for url in sys.argv[1 + behind :]]))
