"""This computer's sources of packages: the configuration of apt, pip, npm and conda, parsed. All pure."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from provision.settings import is_loopback, parse_registry


@dataclass(frozen=True)
class Source:
    """One line of apt's sources: an archive, a suite, and its components."""

    uri: str
    suite: str
    components: tuple[str, ...]


@dataclass(frozen=True)
class Archive:
    """The archive of the distribution itself. `security` is empty when there is none."""

    uri: str
    suite: str
    components: str
    security: str = ""


_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>[^#]*)")


def parse_sources(files: Mapping[str, str]) -> list[Source]:
    """The binary sources in apt's files (name → text): `*.list` holds lines, `*.sources` holds stanzas."""
    return [
        source
        for name, text in files.items()
        for source in (_stanzas(text) if name.endswith(".sources") else _lines(text))
    ]


def find_archive(sources: Iterable[Source], codename: str) -> Archive | None:
    """The archive with the release `codename`, and the one with its security updates."""
    usable = [source for source in sources if source.uri.startswith(("http://", "https://"))]
    main = next((it for it in usable if it.suite == codename and "main" in it.components), None)
    if main is None:
        return None
    security = next((it.uri for it in usable if it.suite == f"{codename}-security"), "")
    components = {
        part for it in usable if it.suite == codename and it.uri == main.uri for part in it.components
    }
    return Archive(main.uri, codename, " ".join(sorted(components)), security)


def mirror_list(uri: str) -> str | None:
    """The file with the mirrors, if apt's source is a list of them (`mirror+file:/path`)."""
    scheme, _, path = uri.partition(":")
    return "/" + path.lstrip("/") if scheme == "mirror+file" else None


def first_mirror(text: str) -> str:
    """The first address of a list of mirrors; empty when there is none."""
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return next((words[0].rstrip("/") for words in lines if words), "")


def pip_index(texts: Iterable[str]) -> str | None:
    """`index-url` of pip's configuration files; a later file wins."""
    found = None
    for text in texts:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for section in ("global", "install"):
            found = parser.get(section, "index-url", fallback=found)
    return found


def npm_registry(texts: Iterable[str]) -> str | None:
    """`registry` of npm's configuration files; a later file wins."""
    found = None
    for text in texts:
        for match in re.finditer(r"^\s*registry\s*=\s*(\S+)", text, re.MULTILINE):
            found = match[1]
    return found


def registry_mirrors(text: str) -> tuple[str, ...]:
    """Docker's own mirrors that other hosts could use too, from the JSON of `docker info`."""
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    kept = []
    for url in found if isinstance(found, list) else ():
        try:
            kept.append(parse_registry(url))
        except ValueError:
            continue
    return tuple(url for url in kept if not unusable(url))


def conda_settings(texts: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """The alias under which channels' names are, and channels given by URL, of conda's .condarc files.

    A later file wins. Only those that other hosts could use.
    """
    alias, channels = None, tuple[str, ...]()
    for text in texts:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        if not isinstance(found, dict):
            continue
        alias = found.get("channel_alias") or alias
        given = found.get("channels")
        channels = tuple(map(str, given)) if isinstance(given, list) else channels
    urls = tuple(url.rstrip("/") for url in channels if "://" in url and not unusable(url))
    return (str(alias).rstrip("/") if alias and not unusable(str(alias)) else None), urls


def unusable(url: str) -> str:
    """The reason why other hosts cannot, or must not, use this URL; empty when they can."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return "only this computer can reach it"
    if is_loopback(parts.hostname or "localhost"):
        return "only this computer can reach it"
    if parts.username or parts.password:
        return "it holds a password, which settings may not"
    return ""


def _lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        if match := _ONE_LINE.match(line.strip()):
            yield Source(match["uri"].rstrip("/"), match["suite"], tuple(match["components"].split()))


def _stanzas(text: str) -> Iterator[Source]:
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)):
        fields = {
            match[1].lower(): match[2].split()
            for match in re.finditer(r"^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield Source(uri.rstrip("/"), suite, tuple(fields.get("components", [])))
