"""Tell StatsD every ten seconds what the hub and its host are doing.

Reads /hub/metrics with a token that may read that and nothing else. Numbers that cannot be passed on while
StatsD is away are kept in a file, and passed on when it is back.

Environment: JUPYTERHUB_API_TOKEN, HUB_METRICS_URL, GRAPHITE_URL, STATSD_PORT, METRICS_PREFIX, and systemd's
RUNTIME_DIRECTORY.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import host_measures
import measures
import statsd

ROUND = 10.0  # seconds: StatsD's flush
TIMEOUT = 5.0

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # both are on this host


class Changes:
    """Problems, each reported once when it begins and once when it ends, however many rounds it lasts."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.now: dict[str, str] = {}

    def note(self, subject: str, problem: str) -> None:
        before = self.now.get(subject, "")
        self.now[subject] = problem
        if problem and not before:
            self.say(f"{subject}: {problem}")
        elif before and not problem:
            self.say(f"{subject}: well again")


class Sender:
    """A sender of one round after another. `file` keeps the ledger between two runs of this program."""

    def __init__(
        self,
        fetch: Callable[[str, Mapping[str, str]], str],
        client: statsd.StatsClient,
        file: Path,
        urls: Mapping[str, str],
        token: str,
        say: Callable[[str], None],
    ) -> None:
        self.fetch = fetch
        self.client = client
        self.file = file
        self.urls = urls
        self.token = token
        self.changes = Changes(say)
        self.ledger = load(file)

    def round(self) -> None:
        """Read the hub and tell StatsD. Never raises for anything that the hub, StatsD or Graphite do."""
        reading = self._read_hub()
        if reading is not None:
            self.ledger.add(reading)
        if self._statsd_listens():
            self._send(reading)
            self.ledger.settle()
        store(self.file, self.ledger)

    def _read_hub(self) -> measures.Reading | None:
        try:
            text = self.fetch(self.urls["hub"], {"Authorization": f"token {self.token}"})
            reading = measures.read(text)
        except (OSError, ValueError) as error:
            self.changes.note("the hub", f"its metrics cannot be read: {error}")
            return None
        self.changes.note("the hub", "")
        return reading

    def _statsd_listens(self) -> bool:
        """True if Graphite's container says so: UDP itself does not tell when a datagram is lost."""
        try:
            well = bool(json.loads(self.fetch(self.urls["health"], {}))["statsd"])
        except (OSError, ValueError, KeyError) as error:
            self.changes.note("StatsD", f"does not answer; what it should be told is kept: {error}")
            return False
        self.changes.note("StatsD", "" if well else "does not listen; what it should be told is kept")
        return well

    def _send(self, reading: measures.Reading | None) -> None:
        with self.client.pipeline() as batch:
            batch.gauge("hub.up", int(reading is not None))
            for name, value in {**(reading.gauges if reading else {}), **host_measures.read()}.items():
                batch.gauge(name, value)
            for name, number in self.ledger.due_counters.items():
                batch.incr(name, int(number))
            for name, (count, seconds) in self.ledger.due_timings.items():
                for _ in range(int(count)):
                    batch.timing(name, 1000 * seconds / count)


def load(file: Path) -> measures.Ledger:
    """The ledger in the file, or an empty one where there is no file, or none that makes sense."""
    try:
        return measures.Ledger.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError, AttributeError):
        return measures.Ledger()


def store(file: Path, ledger: measures.Ledger) -> None:
    unfinished = file.with_suffix(".new")
    try:
        unfinished.write_text(json.dumps(vars(ledger)), encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:  # go on measuring: a full disk shows in the numbers
        say(f"cannot remember what was sent: {error}")


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def fetch(url: str, headers: Mapping[str, str]) -> str:
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - the unit's own URLs
    with _opener.open(request, timeout=TIMEOUT) as answer:
        text: str = answer.read().decode()
    return text


def main() -> None:
    environment = os.environ
    sender = Sender(
        fetch,
        statsd.StatsClient(
            "127.0.0.1", int(environment["STATSD_PORT"]), prefix=environment["METRICS_PREFIX"]
        ),
        Path(environment["RUNTIME_DIRECTORY"]) / "ledger.json",
        {"hub": environment["HUB_METRICS_URL"], "health": f"{environment['GRAPHITE_URL']}/health"},
        environment["JUPYTERHUB_API_TOKEN"],
        say,
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while True:
        sender.round()
        if stop.wait(ROUND):
            return


if __name__ == "__main__":
    main()
