"""Run commands, take times, and print them with their conditions. Nothing here passes or fails."""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence

WIDTH = 62


def conditions() -> None:
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")


def many(measure: Callable[[], float], times: int) -> list[float]:
    return [measure() for _ in range(times)]


def timed(argv: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """Seconds that a command takes."""
    began = time.monotonic()
    run(argv, environment)
    return time.monotonic() - began


def run(argv: Sequence[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(argv, check=True, env=environment, stdout=subprocess.DEVNULL)


def say(what: str, values: Sequence[float], unit: str = "s") -> None:
    """Print one line: the median, and the range where there is one."""
    runs = f"   (median of {len(values)}, {min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    print(f"{what:<{WIDTH}} {statistics.median(values):6.2f} {unit}{runs}", flush=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
