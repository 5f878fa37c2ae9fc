"""Requests to services of this host itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def without_certificate_check() -> ssl.SSLContext:
    """A context for requests to this host itself, whose certificate may name only the visitors' domain."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # create_default_context reads all the CAs: 25 ms
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
