"""The cost of measuring: `.venv/bin/python -m benchmarks.monitoring` (minutes; a machine of its own)."""

from __future__ import annotations

import asyncio
import time

from benchmarks.machines import bench
from benchmarks.timing import conditions, run, say
from provision.machines import machine_of
from provision.settings import load
from tests.support.hosts.containers import Host
from tests.support.visitor import Visitor, visit

VISITS = 3
LOOKS = 7
WATCHED = 60.0  # seconds
KB = 1024 / 1e6  # of the kernel's, in MB

# Of all processes of the container: resident memory, and the same with shared pages counted once; in kB.
CONTAINER = """
for pid in $(docker top hubwright-graphite -o pid | tail -n +2); do
    cat /proc/$pid/smaps_rollup
done | awk '/^Rss:/ { rss += $2 } /^Pss:/ { pss += $2 } END { print rss, pss }'
"""
# Of the sender: resident memory in kB, and its processor time in seconds.
UNIT = """
pid=$(systemctl show --property=MainPID --value hubwright-metrics)
awk '/^Rss:/ { print $2 }' /proc/$pid/smaps_rollup
awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' /proc/$pid/stat
"""


def main() -> None:
    conditions()
    with bench() as here:
        run([*here.hubwright, "up"])
        settings = load(here.config)
        url = machine_of(settings).url()
        machine = Host(settings.vm.name, 0, settings.vm.port)
        for _ in range(VISITS):
            asyncio.run(visit(url, "print(6 * 7)"))
        began, before = time.monotonic(), machine.run(UNIT).split()
        time.sleep(WATCHED)
        seconds, after = time.monotonic() - began, machine.run(UNIT).split()
        rss, pss = map(float, machine.run(CONTAINER).split())
        say("Graphite's container, resident memory of its processes", [rss * KB], "MB")
        say("Graphite's container, shared pages counted once", [pss * KB], "MB")
        say("hub_metrics, resident memory", [float(after[0]) * KB], "MB")
        say("hub_metrics, share of a core", [100 * (float(after[1]) - float(before[1])) / seconds], "%")
        asyncio.run(measure_page(url, machine))


async def measure_page(url: str, machine: Host) -> None:
    """Time the page as the proxy passes it on, with pauses: the page keeps Graphite's answers for 5 s."""
    program = "/opt/hubwright/current/bin/python /opt/hubwright/services/status_page.py --ticket"
    visitor = Visitor(url)
    await visitor.get(url.rstrip("/") + machine.run(program).strip())
    for window in ("hour", "day", "week"):
        taken, sizes = [], []
        for _ in range(LOOKS):
            await asyncio.sleep(6)
            began = time.monotonic()
            response = await visitor.get(f"{url}services/status/?over={window}")
            taken.append(1000 * (time.monotonic() - began))
            assert response.code == 200, response.code
            sizes.append(len(response.body) / 1024)
        say(f"status page, {window}", taken, "ms")
        say(f"status page, {window}, size", sizes, "KiB")


if __name__ == "__main__":
    main()
