"""JupyterHub's idle culler, which also tells StatsD of every server and account that it ends.

Environment: STATSD_PORT and METRICS_PREFIX; without them it only culls.
"""

from __future__ import annotations

import logging
import os

import statsd
from jupyterhub_idle_culler import IdleCuller

SAID = {"Culling server ": "culler.servers", "Culling user ": "culler.users"}


class Tally(logging.Handler):
    """A log handler that counts what the culler ends: only the culler's log says it."""

    def __init__(self, client: statsd.StatsClient) -> None:
        super().__init__(logging.INFO)
        self.client = client

    def emit(self, record: logging.LogRecord) -> None:
        for beginning, name in SAID.items():
            if str(record.msg).startswith(beginning):
                self.client.incr(name)


class CountingCuller(IdleCuller):  # type: ignore[misc]
    name = "idle-culler"

    def start(self) -> None:
        port = os.environ.get("STATSD_PORT")
        if port:
            self.log.addHandler(
                Tally(statsd.StatsClient("127.0.0.1", int(port), prefix=os.environ["METRICS_PREFIX"]))
            )
        super().start()


if __name__ == "__main__":
    CountingCuller.launch_instance()
