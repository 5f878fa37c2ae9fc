"""Requests to services of this host itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import urllib.request


def opener_without_proxy() -> urllib.request.OpenerDirector:
    """An opener for requests to this host itself, whose certificate may name only the visitors' domain."""
    import ssl  # here, because they load slowly and most runs start no service
    import urllib.request

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # create_default_context reads all the CAs: 25 ms
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
