"""The facets of a role beside its steps: its hub service, its page, its data and its ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from provision.agent.resources import GeneratedSecret
from provision.settings import Settings


@dataclass(frozen=True)
class Caller:
    """A service that calls the hub's API: its name in the hub, its token, and what it may do there."""

    name: str
    token: GeneratedSecret
    scopes: Callable[[Settings], tuple[str, ...]]


@dataclass(frozen=True)
class Page:
    """A service behind the proxy, at /services/NAME/. `display`: a link to it is on the hub's pages."""

    name: str
    url: Callable[[Settings], str]
    display: Callable[[Settings], bool] = lambda _: False


@dataclass(frozen=True)
class Data:
    """Data that gathers on a host and cannot be made again: a folder, or a Docker volume."""

    what: str
    path: str = ""
    volume: str = ""


@dataclass(frozen=True)
class Door:
    """A port that a hub listens on. `key`: the setting that chooses it, or nothing.

    `open_to`: visitors from anywhere, the notebooks' containers, or programs of the host itself.
    """

    port: int
    open_to: Literal["visitors", "notebooks", "host"]
    protocol: Literal["tcp", "udp"] = "tcp"
    key: str = ""
