"""Timings that are sent to StatsD."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from provision.deploy import timings
from provision.settings import Settings


class StatsClient:
    """statsd's client. `broken` is raised where a client first needs the network: when it is made."""

    made: list[StatsClient] = []  # noqa: RUF012 - emptied by the fixture
    broken: Exception | None = None

    def __init__(self, host: str, port: int, prefix: str) -> None:
        if StatsClient.broken is not None:
            raise StatsClient.broken
        self.to = (host, port, prefix)
        self.sent: list[tuple[str, str, float]] = []
        StatsClient.made.append(self)

    def timing(self, name: str, value: float) -> None:
        self.sent.append(("timing", name, value))

    def incr(self, name: str) -> None:
        self.sent.append(("incr", name, 1))

    def gauge(self, name: str, value: float) -> None:
        self.sent.append(("gauge", name, value))


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> type[StatsClient]:
    monkeypatch.setattr(StatsClient, "made", [])
    monkeypatch.setattr(StatsClient, "broken", None)
    monkeypatch.setitem(sys.modules, "statsd", SimpleNamespace(StatsClient=StatsClient))
    return StatsClient


def test_timings_go_where_the_settings_say(hub: Callable[..., Settings], statsd: type[StatsClient]) -> None:
    timings.send(hub(), "apply", [(1.5, False, 3)])
    assert statsd.made == []
    timings.send(hub("[deploy]\nstatsd = 'graphite.example:8125'"), "apply", [(1.5, False, 3), (2, True, 0)])
    (client,) = statsd.made
    assert client.to == ("graphite.example", 8125, "hubwright.deploy.apply")
    assert client.sent == [
        ("timing", "duration", 1500),
        ("incr", "succeeded", 1),
        ("gauge", "changes", 3),
        ("timing", "duration", 2000),
        ("incr", "failed", 1),
        ("gauge", "changes", 0),
    ]


@pytest.mark.parametrize(
    "error",
    [
        OSError("no such host"),
        UnicodeError("encoding with 'idna' codec failed (UnicodeError: label empty or too long)"),
        OverflowError("port must be 0-65535."),
        RuntimeError("anything"),
    ],
)
def test_timings_never_fail_a_run(
    hub: Callable[..., Settings], statsd: type[StatsClient], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(statsd, "broken", error)
    timings.send(hub("[deploy]\nstatsd = 'a..b:8125'"), "apply", [(1.0, False, 0)])
