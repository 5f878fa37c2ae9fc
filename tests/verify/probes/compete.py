"""Let a unit and a container compete for a core: `compete.py UNIT CONTAINER` prints the seconds each got."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
SECONDS = 2.0
# Once ready, the program waits for a line, so that both begin at the same time.
SPIN = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
print("ready", flush=True)
sys.stdin.readline()
end = time.monotonic() + float(sys.argv[2])
before = time.process_time()
while time.monotonic() < end:
    pass
print(time.process_time() - before)
"""


def main(unit: str, container: str) -> None:
    show = ["systemctl", "show", unit, "--property=ControlGroup", "--value"]
    group = subprocess.run(show, capture_output=True, text=True, check=True).stdout.strip().lstrip("/")
    core = str(min(os.sched_getaffinity(0)))
    spin = ["-c", SPIN, core, str(SECONDS)]
    both = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for argv in ([sys.executable, *spin], ["docker", "exec", "--interactive", container, "python", *spin])
    ]
    (GROUPS / group / "cgroup.procs").write_text(str(both[0].pid), encoding="ascii")
    for process in both:
        assert process.stdout
        process.stdout.readline()
    for process in both:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    print(json.dumps([float(process.communicate()[0]) for process in both]))


if __name__ == "__main__":
    main(*sys.argv[1:])
