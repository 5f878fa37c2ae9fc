"""Runs that end at a boundary, on real hosts: of the agent, the driver, SSH, or the power."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field

from tests.support.faults.injected import NOTE
from tests.support.hosts.containers import Host
from tests.support.operators import COMMAND_TIMEOUT, PROJECT, Operator

WAYS = ("agent", "driver", "ssh", "power")


@dataclass
class Breaker:
    """Ends runs on a host at each boundary that they come to, one after the other, in these ways by turns.

    `every`: of so many boundaries about one, always the same; 1 for all. `into`: seconds into a program.
    """

    operator: Operator
    host: Host
    ways: tuple[str, ...]
    every: int = 1
    into: float = 0.05
    passed: list[str] = field(default_factory=list)
    said: str = ""

    def until_done(self, *words: str) -> list[str]:
        """Repeat a command until it comes to its end. Returns the boundaries at which it was ended."""
        before = len(self.passed)
        while name := self.once(*words):
            print(f"{self._way} ended: {name}", flush=True)  # pytest shows it when the test fails
            self.passed.append(name)
        return self.passed[before:]

    def once(self, *words: str) -> str:
        """Run a command. Returns the boundary at which it was ended, or nothing: then it ended well."""
        plan = self.operator.folder / "faults.json"
        wanted = {"how": self._way, "every": self.every, "into": self.into, "passed": self.passed}
        plan.write_text(json.dumps(wanted), encoding="utf-8")
        self.host.run(f"rm -f {NOTE}")
        argv = [sys.executable, "-m", "tests.support.faults.driver", str(plan), *words]
        done = subprocess.run(
            argv,
            cwd=PROJECT,
            env=self.operator.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        self.said = done.stderr
        name = self.host.run(f"cat {NOTE} 2>/dev/null || true")
        assert name or done.returncode == 0, f"{self._way}, {self.passed[-1:]}: {done.stdout}{done.stderr}"
        assert name not in self.passed
        if name and self._way == "power":
            self.host.cut_power()
        return name

    @property
    def _way(self) -> str:
        return self.ways[len(self.passed) % len(self.ways)]
