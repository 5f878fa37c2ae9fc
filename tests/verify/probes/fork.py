"""Start processes until one is refused: `fork.py MOST`. Prints how many it got, and ends them."""

from __future__ import annotations

import json
import os
import signal
import sys

if __name__ == "__main__":
    children: list[int] = []
    try:
        while len(children) < int(sys.argv[1]):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except BlockingIOError:
        pass
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    print(json.dumps(len(children)))
