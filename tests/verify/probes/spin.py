"""Keep cores busy: `spin.py PROCESSES` prints the seconds of processor time it got, and those gone by."""

from __future__ import annotations

import json
import os
import resource
import sys
import time

SECONDS = 1.0  # ten of the kernel's periods


def spin() -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pass


if __name__ == "__main__":
    began, children = time.monotonic(), []
    for _ in range(int(sys.argv[1])):
        child = os.fork()
        if child == 0:
            spin()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps([used.ru_utime + used.ru_stime, time.monotonic() - began]))
