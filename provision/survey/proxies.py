"""This computer's own proxy, from its environment or apt's configuration. All pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from provision.settings import parse_proxy, parse_proxy_exception

_APT = re.compile(r'^Acquire::(?P<scheme>https?)::Proxy "(?P<url>[^"]+)";', re.MULTILINE | re.IGNORECASE)
_OWN = re.compile(r"^(localhost|127\.|::1$|\[)")


@dataclass(frozen=True)
class Proxies:
    """URLs as [downloads] takes them. `password`: True when this computer gives the proxy one."""

    http: str
    https: str
    exceptions: tuple[str, ...] = ()
    password: bool = False


def of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Scheme → URL; under `no`, the places that are reached directly."""
    found = {}
    for key in ("http", "https", "no"):
        name = f"{key}_proxy"
        if value := environ.get(name) or environ.get(name.upper()):
            found[key] = value
    return found


def of_apt(text: str) -> dict[str, str]:
    """The same, from the output of `apt-config dump`."""
    return {
        match["scheme"].lower(): match["url"] for match in _APT.finditer(text) if match["url"] != "DIRECT"
    }


def proxies(found: Mapping[str, str]) -> Proxies | None:
    """The proxies as [downloads] takes them, or None. ValueError says why one cannot be used."""
    urls = [found.get("http") or found.get("https"), found.get("https") or found.get("http")]
    if not urls[0] or not urls[1]:
        return None
    http, https = (_plain(url) for url in urls if url)
    return Proxies(
        parse_proxy(http[0]),
        parse_proxy(https[0]),
        tuple(_exceptions(re.split(r"[,\s]+", found.get("no", "")))),
        http[1] or https[1],
    )


def _plain(url: str) -> tuple[str, bool]:
    """The URL with a scheme and without user and password, and True if it had any."""
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", "@" in parts.netloc


def _exceptions(words: Iterable[str]) -> list[str]:
    """Those that mean the same everywhere: names, addresses and ranges that are not this computer itself."""
    kept = []
    for word in words:
        name = word.removeprefix("*")
        try:
            if name and not _OWN.match(name):
                kept.append(parse_proxy_exception(name))
        except ValueError:
            continue
    return kept
