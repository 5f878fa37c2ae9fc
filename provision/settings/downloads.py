"""[downloads]: the ways to packages and images in this network, and the variables that tell programs."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator

from .section import Section
from .values import ArchiveName, Folder, LocalPath, Proxy, ProxyException, Registry, WebAddress


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
