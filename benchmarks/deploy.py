"""The time that deploys and visits take: `.venv/bin/python -m benchmarks.deploy` (a machine of its own)."""

from __future__ import annotations

import asyncio
import os

from benchmarks.machines import Bench, bench
from benchmarks.relay import Relay
from benchmarks.timing import WIDTH, conditions, many, run, say, timed
from provision.machines import machine_of
from provision.settings import load
from tests.support.visitor import visit

RUNS = 7
VISITS = 5
DELAY = 0.1  # seconds each way


def main() -> None:
    conditions()
    with bench() as here:
        hubwright = here.hubwright
        run([*hubwright, "up"])  # builds the images, if need be
        run([*hubwright, "destroy", "--yes"])
        say("hubwright up, images built, bare machine to answering hub", [timed([*hubwright, "up"])])
        say("apply that changes nothing, whole process", many(lambda: timed([*hubwright, "apply"]), RUNS))
        say("plan that finds nothing, whole process", many(lambda: timed([*hubwright, "plan"]), RUNS))
        measure_round_trips(here)
        measure_visits(machine_of(load(here.config)).url())


def measure_round_trips(here: Bench) -> None:
    """Count round trips: the time that a delay adds, divided by the delay there and back."""
    target = machine_of(load(here.config)).target()
    assert target.port is not None
    for only in ([], ["--only", "base"]):
        with Relay(target.port, 0.0) as near, Relay(target.port, DELAY) as far:
            seconds = []
            for relay in (near, far):
                host = f"{target.user}@127.0.0.1:{relay.port}"
                known = here.config.with_name("known_hosts")
                command = [*here.hubwright, "apply", "-H", host, "-i", str(target.identity), *only]
                environment = {**os.environ, "HUBWRIGHT_KNOWN_HOSTS": str(known)}
                run([*command, "--accept-new-host-key"], environment)
                seconds.append(min(timed(command, environment) for _ in range(3)))
        trips = (seconds[1] - seconds[0]) / (2 * DELAY)
        what = "all roles" if not only else "role base alone"
        print(f"{'round trips of a run, ' + what:<{WIDTH}} {trips:6.1f}   ({seconds[1]:.2f} s at 200 ms)")


def measure_visits(url: str) -> None:
    found = [asyncio.run(visit(url, "print(6 * 7)")) for _ in range(VISITS)]
    say("a visitor's own JupyterLab, from the first request", [visit["ready"] for visit in found])
    say("a kernel's first answer, from the first request", [visit["answered"] for visit in found])


if __name__ == "__main__":
    main()
