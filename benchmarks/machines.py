"""A folder of settings to measure with; the machine raised there is destroyed when the block ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import free_port, run
from tests.support.operators import Operator

PROJECT = Path(__file__).parent.parent
HUBWRIGHT = Path(sys.executable).parent / "hubwright"


@dataclass(frozen=True)
class Bench:
    """`operator` has the settings; `hubwright` is the command on them, without its progress."""

    operator: Operator

    @property
    def config(self) -> Path:
        return self.operator.config

    @property
    def hubwright(self) -> list[str]:
        return [str(HUBWRIGHT), "-q", "-c", str(self.config)]


@contextmanager
def bench(**sections: Mapping[str, Any]) -> Iterator[Bench]:
    """With site.toml, the host image and a key to log in with; `sections` go to hub.toml."""
    folder = Path(tempfile.mkdtemp(prefix="hubwright-bench-"))
    hub: dict[str, Mapping[str, Any]] = {
        "image": {"build": f"{PROJECT}/images/notebook"},
        "vm": {"name": f"bench-{os.getpid()}", "port": free_port()},
        **sections,
    }
    found = Bench(Operator(folder, hub))
    found.operator.write(hub)
    try:
        run([*found.hubwright, "init"])
        run([*found.hubwright, "prepare"])
        yield found
    finally:
        subprocess.run([*found.hubwright, "destroy", "--yes"], check=False)
        shutil.rmtree(folder, ignore_errors=True)
