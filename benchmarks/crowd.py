"""Many visitors at once: `.venv/bin/python -m benchmarks.crowd [visitors [starts_at_once]]`.

Raises a machine of its own. `starts_at_once` is the setting; a number as large as that of the visitors starts
all servers together, as a JupyterHub without a line does.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from typing import Any

from benchmarks.machines import bench
from benchmarks.timing import WIDTH, conditions, run, say
from provision.machines import machine_of
from provision.settings import load
from tests.support.visitor import Visitor, visit

VISITORS = 50
READY_TIMEOUT = 600.0  # seconds; a browser waits as long as its page is open
MEMORY = "384M"  # of a server


def main(visitors: int = VISITORS, starts_at_once: int = 0) -> None:
    conditions()
    server = {"memory": MEMORY, "starts_at_once": starts_at_once, "max_servers": 2 * visitors}
    with bench(server=server) as here:
        run([*here.hubwright, "up"])
        url = machine_of(load(here.config)).url()
        asyncio.run(visit(url, "print(6 * 7)"))  # the first server ever finds cold caches
        print(f"{visitors} visitors at once, starts_at_once = {starts_at_once}", flush=True)
        asyncio.run(measure(url, visitors))


async def measure(url: str, number: int) -> None:
    """Let visitors come within one second, and print how long each waited for a server that can be used."""
    found = await asyncio.gather(*(arrive(url, n / number) for n in range(number)))
    waited = [seconds for seconds, _ in found if seconds]
    failures = [error for _, error in found if error]
    print(f"{'visitors without a server':<{WIDTH}} {len(failures):6d}", flush=True)
    for error in failures[:5]:
        print(f"    {error}")
    if waited:
        say("a server that can be used, from the first request: median", [statistics.median(waited)])
        say("the same, the last", [max(waited)])
    print(f"load at the end {os.getloadavg()[0]:.1f}", flush=True)


async def arrive(url: str, after: float) -> tuple[float, str]:
    """Seconds until a visitor's server is ready, or 0 and the reason why there is none."""
    await asyncio.sleep(after)
    began = time.monotonic()
    visitor: Any = Visitor(url, timeout=READY_TIMEOUT)
    try:
        await visitor.arrive()
    except Exception as error:
        return 0.0, f"{type(error).__name__}: {error}"
    return time.monotonic() - began, ""


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
