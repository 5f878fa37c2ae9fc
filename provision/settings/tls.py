"""The section [tls] of hub.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .section import Section
from .values import Address, Duration, Email, LocalPath, Place, WebAddress


class Tls(Section):
    """Encryption between visitors and the hub, and where its certificate comes from."""

    mode: Literal["self-signed", "files", "letsencrypt", "behind-proxy", "off"] = Field(
        "self-signed",
        description="self-signed: made on the host. files: yours. letsencrypt: from an ACME server. "
        "behind-proxy: another web server in front of it speaks https. off: plain HTTP.",
    )
    redirect_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        80, description="Port that sends visitors to https; 0: none."
    )
    hsts: Duration = Field(
        0, description="How long browsers insist on https; 0: not at all. Not with self-signed."
    )
    certificate: LocalPath | None = Field(
        None, description="files: PEM file here, the server's own certificate first, then its chain."
    )
    key: LocalPath | None = Field(None, description="files: PEM file here with its key, without passphrase.")
    email: Email | None = Field(None, description="letsencrypt: where the ACME server writes to.")
    directory: WebAddress = Field(
        "https://acme-v02.api.letsencrypt.org/directory", description="letsencrypt: URL of the ACME server."
    )
    directory_ca: LocalPath | None = Field(
        None, description="letsencrypt: PEM file here that the ACME server's certificate is checked with."
    )
    listen: Address = Field("127.0.0.1", description="behind-proxy: address that the hub listens on.")
    trusted_proxies: Annotated[tuple[Place, ...], Field(strict=False)] = Field(
        ("127.0.0.1", "::1"),
        description="Addresses and ranges of web servers and balancers in front, which may say who the "
        "visitor is. In other modes than behind-proxy: none, unless they are named.",
    )

    @property
    def trusted(self) -> tuple[str, ...]:
        """The addresses and ranges that are trusted in this mode."""
        named = self.mode == "behind-proxy" or "trusted_proxies" in self.model_fields_set
        return self.trusted_proxies if named else ()

    @property
    def own_scheme(self) -> str:
        """The protocol of the hub itself."""
        return "http" if self.mode in ("behind-proxy", "off") else "https"

    @property
    def scheme(self) -> str:
        """The protocol of visitors' browsers."""
        return "http" if self.mode == "off" else "https"

    @model_validator(mode="after")
    def _keys_of_the_mode(self) -> Tls:
        for mode, keys in _TLS_KEYS.items():
            given = sorted(self.model_fields_set & set(keys))
            if given and mode != self.mode:
                raise ValueError(f'{given[0]} belongs to mode = "{mode}"; the mode is "{self.mode}"')
        for key in _TLS_REQUIRED.get(self.mode, ()):
            if getattr(self, key) is None:
                raise ValueError(f'mode = "{self.mode}" needs {key}')
        if self.mode == "letsencrypt" and self.redirect_port == 0:
            raise ValueError("redirect_port should not be 0: the ACME server comes back on port 80")
        if self.hsts and self.mode in ("self-signed", "off"):
            raise ValueError(f'hsts should be 0 with mode = "{self.mode}": visitors could not come any more')
        return self


_TLS_KEYS = {
    "files": ("certificate", "key"),
    "letsencrypt": ("email", "directory", "directory_ca"),
    "behind-proxy": ("listen",),
}
_TLS_REQUIRED = {"files": ("certificate", "key"), "letsencrypt": ("email",)}
