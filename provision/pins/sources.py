"""The newest versions of pinned things, from their publishers."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provision.errors import HubwrightError

AUTHORITY = "https://auth.docker.io/token?service=registry.docker.io&scope=repository:{name}:pull"
REGISTRY = "https://registry-1.docker.io/v2/{name}/manifests/{tag}"
INDEXES = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
MINICONDA = "https://repo.anaconda.com/miniconda/.files.json"
MINIFORGE = "https://api.github.com/repos/conda-forge/miniforge/releases/latest"
ANSWER_TIMEOUT = 30.0  # seconds
SHA256 = re.compile(r"[0-9a-f]{64}")

Fetch = Callable[[str, Mapping[str, str]], bytes]


@dataclass(frozen=True)
class Installer:
    """A release of an installer: the file's name, with {machine} in it, and checksums by machine."""

    name: str
    digests: Mapping[str, str]


def fetch(url: str, headers: Mapping[str, str]) -> bytes:
    """The body of an answer. Raises HubwrightError with the reason when there is none."""
    if not url.startswith("https://"):  # an answer may name any
        raise _unexpected(url, "no address of https")
    request = urllib.request.Request(url, headers={"User-Agent": "hubwright", **headers})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise HubwrightError(
            f"cannot be read: {reason}",
            where=url.partition("?")[0],
            hint="make pins must reach it; behind a proxy set https_proxy",
        ) from None


def base_image(reference: str, ask: Fetch) -> str:
    """The reference `name:tag@sha256:…` of an official image with the digest that its tag has now."""
    name, _, tag = reference.partition("@")[0].partition(":")
    path = name if "/" in name else f"library/{name}"
    url = AUTHORITY.format(name=path)
    token = _text(_json(ask(url, {}), url), "token", url)
    url = REGISTRY.format(name=path, tag=tag)
    manifest = ask(url, {"Authorization": f"Bearer {token}", "Accept": INDEXES})
    if not _json(manifest, url).get("manifests"):
        raise _unexpected(url, "no list of images for several processors")
    return f"{name}:{tag}@sha256:{hashlib.sha256(manifest).hexdigest()}"


def miniconda(machines: Iterable[str], python: str, ask: Fetch) -> Installer:
    """The newest Miniconda with this Python, for example py313, that exists for all machines."""
    files = _json(ask(MINICONDA, {}), MINICONDA)
    pattern = re.compile(rf"Miniconda3-{python}_(\d+\.\d+\.\d+-\d+)-Linux-(\w+)\.sh")
    found: dict[tuple[int, ...], dict[str, str]] = {}
    names: dict[tuple[int, ...], str] = {}
    for name, about in files.items():
        match = pattern.fullmatch(name)
        if match and isinstance(about, dict) and SHA256.fullmatch(str(about.get("sha256"))):
            version = tuple(map(int, re.split(r"[.-]", match[1])))
            found.setdefault(version, {})[match[2]] = about["sha256"]
            names[version] = f"Miniconda3-{python}_{match[1]}-Linux-{{machine}}.sh"
    complete = [version for version, digests in found.items() if set(machines) <= digests.keys()]
    if not complete:
        raise _unexpected(MINICONDA, f"no Miniconda3-{python} for {' and '.join(machines)}")
    newest = max(complete)
    return Installer(names[newest], {machine: found[newest][machine] for machine in machines})


def miniforge(machines: Iterable[str], ask: Fetch) -> Installer:
    """The newest release of Miniforge. The release's folder is part of its name."""
    release = _json(ask(MINIFORGE, {"Accept": "application/vnd.github+json"}), MINIFORGE)
    version = _text(release, "tag_name", MINIFORGE)
    addresses = {
        str(asset.get("name")): str(asset.get("browser_download_url")) for asset in release.get("assets", ())
    }
    digests = {}
    for machine in machines:
        name = f"Miniforge3-{version}-Linux-{machine}.sh"
        if f"{name}.sha256" not in addresses:
            raise _unexpected(MINIFORGE, f"no {name}.sha256 among the files of {version}")
        url = addresses[f"{name}.sha256"]
        digest, _, of = ask(url, {}).decode(errors="replace").strip().partition(" ")
        if not SHA256.fullmatch(digest) or of.strip().lstrip("*./") not in ("", name):
            raise _unexpected(url, f"no checksum of {name}")
        digests[machine] = digest
    return Installer(f"{version}/Miniforge3-{version}-Linux-{{machine}}.sh", digests)


def _json(content: bytes, url: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _unexpected(url, "no JSON object")
    return value


def _text(value: Mapping[str, Any], key: str, url: str) -> str:
    if not isinstance(value.get(key), str):
        raise _unexpected(url, f"no {key}")
    return str(value[key])


def _unexpected(url: str, what: str) -> HubwrightError:
    return HubwrightError(
        f"has changed the form of its answer: {what}",
        where=url.partition("?")[0],
        hint="open the address, and adapt provision/pins/sources.py, which reads its answer",
    )
