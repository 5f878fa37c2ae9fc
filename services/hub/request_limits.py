"""Bounds for requests of strangers to the hub's own web server.

Notebook containers reach it without the proxy in between. By default a request may carry 100 MB, take any
time for it, and keep its connection for an hour; each connection is a file that the hub has open.
"""

from __future__ import annotations

import functools
from typing import Any

from jupyterhub import log
from tornado.httpserver import HTTPServer

MAX_BODY = 1 << 20  # bytes; forms and calls of the API are a few hundred
BODY_TIMEOUT = 20.0  # seconds for a body
IDLE_TIMEOUT = 75.0  # seconds until a connection that asks for nothing is closed


def bound_requests() -> None:
    """Make every HTTPServer of this process from now on keep to these bounds."""
    HTTPServer.initialize = functools.partialmethod(  # type: ignore[method-assign, assignment]
        HTTPServer.initialize,
        max_body_size=MAX_BODY,
        body_timeout=BODY_TIMEOUT,
        idle_connection_timeout=IDLE_TIMEOUT,
    )


def count_known_methods_only() -> None:
    """Count requests with a known method only: JupyterHub keeps a metric for each, made-up ones included."""
    count = log.prometheus_log_method

    def count_known(handler: Any) -> None:
        if handler.request.method in handler.SUPPORTED_METHODS:
            count(handler)

    log.prometheus_log_method = count_known
