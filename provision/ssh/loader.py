"""The program that starts a bundle on a host (see provision/deploy/bundle.py for its form)."""

from __future__ import annotations

START = b"HUBWRIGHT\n"

# Runs under `python3 -c` on the host. It skips anything that sudo may have left on standard
# input before START; the agent's code lives in an anonymous file, so that nothing of a run stays on the disk.
LOADER = """\
import os, sys
if sys.version_info < (3, 10):
    print('{"event": "error", "what": "python3 is %d.%d; 3.10 is the oldest that works", "hint": "use a newer'
          ' release of the distribution"}' % sys.version_info[:2])
    sys.exit()
source = sys.stdin.buffer
while source.readline() not in (b"HUBWRIGHT\\n", b""):
    pass
size = int(source.readline() or sys.exit("nothing arrived"))
code = os.memfd_create("hubwright")
with open(code, "wb", closefd=False) as file:
    file.write(source.read(size))
sys.path.insert(0, "/proc/self/fd/%d" % code)
sys.dont_write_bytecode = True
from agent.main import start
start(source)
"""
