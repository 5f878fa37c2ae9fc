"""How long things take: `.venv/bin/python -m benchmarks.deploy` (a few minutes; raises a machine of its own).

Prints every number with the conditions that it was measured under. Nothing here passes or fails.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.relay import Relay
from provision import vm
from provision.settings import load
from tests.visitor import visit

PROJECT = Path(__file__).parent.parent
HUBWRIGHT = Path(sys.executable).parent / "hubwright"
RUNS = 7
VISITS = 5
DELAY = 0.1  # seconds each way


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="hubwright-bench-"))
    config = folder / "hub.toml"
    hubwright = [str(HUBWRIGHT), "-q", "-c", str(config)]
    config.write_text(
        f'[image]\nbuild = "{PROJECT}/images/notebook"\n'
        f'[vm]\nname = "bench-{os.getpid()}"\nport = {free_port()}\n',
        encoding="utf-8",
    )
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    try:
        run([*hubwright, "init"])
        run([*hubwright, "up"])  # builds the images, if need be
        run([*hubwright, "destroy", "--yes"])
        say("hubwright up, images built, bare machine to answering hub", [timed([*hubwright, "up"])])
        say("apply that changes nothing, whole process", many(lambda: timed([*hubwright, "apply"]), RUNS))
        say("plan that finds nothing, whole process", many(lambda: timed([*hubwright, "plan"]), RUNS))
        measure_round_trips(hubwright, config)
        measure_visits(vm.url(load(config)))
    finally:
        subprocess.run([*hubwright, "destroy", "--yes"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def measure_round_trips(hubwright: Sequence[str], config: Path) -> None:
    """The time that a delay adds, divided by the delay there and back, is the number of round trips."""
    target = vm.target(load(config))
    assert target.port is not None
    for only in ([], ["--only", "base"]):
        with Relay(target.port, 0.0) as near, Relay(target.port, DELAY) as far:
            seconds = []
            for relay in (near, far):
                host = f"{target.user}@127.0.0.1:{relay.port}"
                known = config.with_name("known_hosts")
                command = [*hubwright, "apply", "-H", host, "-i", str(target.identity), *only]
                environment = {**os.environ, "HUBWRIGHT_KNOWN_HOSTS": str(known)}
                run([*command, "--accept-new-host-key"], environment)
                seconds.append(min(timed(command, environment) for _ in range(3)))
        trips = (seconds[1] - seconds[0]) / (2 * DELAY)
        what = "all roles" if not only else "role base alone"
        print(f"{'round trips of a run, ' + what:<62} {trips:5.1f}   ({seconds[1]:.2f} s at 200 ms)")


def measure_visits(url: str) -> None:
    found = [asyncio.run(visit(url, "print(6 * 7)")) for _ in range(VISITS)]
    say("a visitor's own JupyterLab, from the first request", [visit["ready"] for visit in found])
    say("a kernel's first answer, from the first request", [visit["answered"] for visit in found])


def many(measure: Callable[[], float], times: int) -> list[float]:
    return [measure() for _ in range(times)]


def timed(argv: Sequence[str], environment: dict[str, str] | None = None) -> float:
    began = time.monotonic()
    run(argv, environment)
    return time.monotonic() - began


def run(argv: Sequence[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(argv, check=True, env=environment, stdout=subprocess.DEVNULL)


def say(what: str, seconds: Sequence[float]) -> None:
    runs = (
        f"   (median of {len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f})" if len(seconds) > 1 else ""
    )
    print(f"{what:<62} {statistics.median(seconds):5.2f} s{runs}", flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
