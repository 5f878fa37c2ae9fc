"""[downloads]: the ways to packages and images in this network, and the variables that tell programs."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, model_validator

from provision.errors import SettingsError

from .section import Section
from .values import ArchiveName, Folder, LocalPath, Proxy, ProxyException, Registry, WebAddress

if TYPE_CHECKING:
    from .settings import Settings

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # the CA certificates that a host trusts
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")

# Programs and the variables that they read: docs/howto/networks.md.
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")


class Downloads(Section):
    """How packages and images are reached from the hosts and while images are built."""

    apt: dict[ArchiveName, Folder] = Field(
        {},
        description="Archives in place of the distribution's: debian, debian-security, ubuntu, ubuntu-ports.",
    )
    pypi: WebAddress | None = Field(None, description="Index URL in place of PyPI's own.")
    npm: WebAddress | None = Field(None, description="Registry URL in place of npm's own.")
    conda: Folder | None = Field(
        None, description="What channels' names start at, in place of https://conda.anaconda.org."
    )
    conda_installers: Folder | None = Field(
        None, description="Folder with the publisher's installers of conda; their checksums stay pinned."
    )
    registries: Annotated[tuple[Registry, ...], Field(strict=False)] = Field(
        (), description="Mirrors of Docker Hub that hosts' engines ask first."
    )
    ca_certificates: Annotated[tuple[LocalPath, ...], Field(strict=False)] = Field(
        (), description="PEM files that hosts and images must trust."
    )
    http_proxy: Proxy | None = Field(
        None, description="Proxy for http, for example http://proxy.example:3128."
    )
    https_proxy: Proxy | None = Field(None, description="Proxy for https. Default: http_proxy.")
    no_proxy: Annotated[tuple[ProxyException, ...], Field(strict=False)] = Field(
        (),
        description="Names (with all below them), addresses and ranges that are reached without the proxy. "
        "The host itself and the notebooks' network always are.",
    )
    proxy_credentials: SecretStr | None = Field(
        None, description="user:password for the proxy; only secrets.toml or the environment may give it."
    )
    notebooks: bool = Field(
        False, description="Visitors' pip, npm and conda get the mirrors, the proxy and the certificates too."
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Downloads:
        if self.https_proxy and not self.http_proxy:
            raise ValueError("https_proxy needs http_proxy beside it; the same proxy often serves both")
        for key in ("no_proxy", "proxy_credentials"):
            if getattr(self, key) and not self.http_proxy:
                raise ValueError(f"{key} belongs to http_proxy, which is not set")
        if self.proxy_credentials is not None:
            _split(self.proxy_credentials)
            if self.notebooks:
                raise ValueError(
                    "notebooks = true would show proxy_credentials to every visitor; "
                    "let the proxy know the hosts by their addresses instead"
                )
        return self

    @property
    def credentials(self) -> tuple[str, str] | None:
        """The proxy's user and password, where it wants any."""
        return _split(self.proxy_credentials) if self.proxy_credentials else None

    @property
    def proxies(self) -> dict[str, str]:
        """Scheme → URL of the proxy, with its credentials: not to be shown. Empty where there is none."""
        if self.http_proxy is None:
            return {}
        return {
            "http": self._with_credentials(self.http_proxy),
            "https": self._with_credentials(self.https_proxy or self.http_proxy),
        }

    def _with_credentials(self, url: str) -> str:
        if self.credentials is None:
            return url
        user, password = (quote(part, safe="") for part in self.credentials)
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{user}:{password}@{rest}"


def _split(credentials: SecretStr) -> tuple[str, str]:
    user, colon, password = credentials.get_secret_value().partition(":")
    if not (user and colon and password) or not (user + password).isprintable() or " " in user + password:
        raise ValueError('proxy_credentials should be "user:password", without spaces')
    return user, password


def environment(settings: Settings) -> dict[str, str]:
    """The variables for all programs of a run on a host. They hold the proxy's credentials."""
    return {**proxy_variables(settings), **_indexes(settings)}


def notebooks(settings: Settings) -> dict[str, str]:
    """The same for visitors' servers, if the settings give it to them."""
    if not settings.downloads.notebooks:
        return {}
    trust = {**dict.fromkeys(_TRUST, BUNDLE), "CONDA_SSL_VERIFY": BUNDLE}
    return {**environment(settings), **(trust if settings.downloads.ca_certificates else {})}


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
