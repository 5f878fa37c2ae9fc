"""How programs learn of the ways that [downloads] names: variables, and CA certificates."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from provision.errors import SettingsError

from .settings import Settings

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # the CA certificates that a host trusts
PYPI = "https://pypi.org/simple"  # pip's own choice
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")

# Programs and the variables that they read: docs/howto/networks.md.
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")


def environment(settings: Settings) -> dict[str, str]:
    """The variables for all programs of a run on a host. They hold the proxy's credentials."""
    return {**proxy_variables(settings), **_indexes(settings)}


def notebooks(settings: Settings) -> dict[str, str]:
    """The same for visitors' servers, if the settings give it to them."""
    if not settings.downloads.notebooks:
        return {}
    trust = {**dict.fromkeys(_TRUST, BUNDLE), "CONDA_SSL_VERIFY": BUNDLE}
    return {**environment(settings), **(trust if settings.downloads.ca_certificates else {})}


def notebooks_index(settings: Settings) -> tuple[str, int]:
    """Host and port that pip in a visitor's server connects to: the package index, or the proxy before it."""
    variables = notebooks(settings)
    index = urlsplit(variables.get("PIP_INDEX_URL", PYPI))
    place = urlsplit(variables.get(f"{index.scheme}_proxy") or index.geturl())
    return place.hostname or "", place.port or {"https": 443}.get(place.scheme, 80)


def notebooks_certificates(settings: Settings) -> str:
    """The host's file of certificates, if visitors' servers get it in place of their image's; else empty."""
    downloads = settings.downloads
    return BUNDLE if downloads.notebooks and downloads.ca_certificates else ""


def proxy_variables(settings: Settings) -> dict[str, str]:
    """The proxy's variables: in lower case, which curl and apt need, and in capitals for other programs."""
    proxies = settings.downloads.proxies
    if not proxies:
        return {}
    values = dict(zip(PROXY_VARIABLES, (*proxies.values(), ",".join(_directly(settings))), strict=True))
    return {**values, **{name.upper(): value for name, value in values.items()}}


def _directly(settings: Settings) -> list[str]:
    """The places reached without the proxy: the host itself, the notebooks' network, and those of no_proxy.

    The gateway is listed beside its network because not every program understands a range.
    """
    network = settings.network
    own = ["localhost", "127.0.0.1", "::1", network.gateway, network.subnet]
    return [*own, *settings.downloads.no_proxy]


def _indexes(settings: Settings) -> dict[str, str]:
    downloads = settings.downloads
    found: dict[str, str] = {}
    if downloads.pypi:
        found |= {"PIP_INDEX_URL": downloads.pypi, "UV_DEFAULT_INDEX": downloads.pypi}
        if downloads.pypi.startswith("http:"):  # else pip ignores such an index
            found["PIP_TRUSTED_HOST"] = urlsplit(downloads.pypi).netloc
    if downloads.npm:
        found["npm_config_registry"] = downloads.npm
    if downloads.conda:
        found["CONDA_CHANNEL_ALIAS"] = downloads.conda
    return found


def certificates(settings: Settings) -> dict[str, str]:
    """Further authorities that hosts trust: name, without `.crt`, → PEM."""
    found = {}
    for relative in settings.downloads.ca_certificates:
        text = read_pem(settings, relative, "downloads.ca_certificates")
        name = re.sub(r"[^a-z0-9-]+", "-", relative.stem.lower()).strip("-")
        found[f"hubwright-{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"] = text
    return found


def read_pem(settings: Settings, relative: Path, key: str) -> str:
    """The text of a PEM file that the settings name under `key`. Raises SettingsError when it is none."""
    path = settings.path(relative)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}",
            where=f"{key}: {path}",
            hint="a relative path starts at hub.toml's folder",
        ) from None
    text = content.decode("ascii", errors="replace").replace(
        "\ufffd", "?"
    )  # only comments may have other letters
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise SettingsError(
            "holds no PEM certificate",
            where=f"{key}: {path}",
            hint="it should have a line BEGIN CERTIFICATE; `openssl x509 -inform der -in …` makes it of DER",
        )
    return text
