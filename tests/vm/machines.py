"""The virtual machine of the tests: reached by SSH, as an operator would."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from provision.machines import machine_of
from provision.settings import load
from tests.support.hosts.containers import SNAPSHOT, hub_answers
from tests.support.operators import Operator

COMMAND_TIMEOUT = 1800.0  # seconds for one command: programs on an emulated machine are about 12 times slower
BOOT_TIMEOUT = 600.0  # seconds
POLL = 2.0  # seconds: for an emulated machine every TLS handshake is work
LIBVIRT = ["virsh", "--connect", "qemu:///system", "--quiet"]


def virsh(*arguments: str) -> str:
    done = subprocess.run([*LIBVIRT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"virsh {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Machine:
    """The tests' virtual machine. `port`, on 127.0.0.1, leads to the hub."""

    operator: Operator
    port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"

    @property
    def start_timeout(self) -> float:
        """Seconds for a visitor's server. An emulated one was ready after 31 to 37 when nothing else ran."""
        return 30.0 + load(self.operator.config).server.start_timeout

    @property
    def domain(self) -> str:
        return f"{self.operator.hub['vm']['name']}-default"

    def run(self, script: str) -> str:
        """Standard output of a shell script that root runs on the machine; fails the test when that fails."""
        return self._ssh(["sudo", "bash", "-eu", "-s"], script)

    def snapshot(self, *parts: str) -> dict[str, Any]:
        """The state of the machine, see snapshot.py."""
        text = self._ssh(["sudo", "python3", "-", *parts], SNAPSHOT.read_text(encoding="utf-8"))
        found: dict[str, Any] = json.loads(text)
        return found

    def started_at(self) -> float:
        """The time of its boot by this computer's clock, to a second or so."""
        return time.time() - float(self.run("cut -d' ' -f1 /proc/uptime"))

    def wait_for_hub(self) -> float:
        """Wait until the hub answers through the proxy. Returns the time."""
        end = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < end:
            if hub_answers(self.url, timeout=20):
                return time.time()
            time.sleep(POLL)
        raise AssertionError(f"no hub answers at {self.url} in {BOOT_TIMEOUT} s")

    def wait_until_gone(self) -> None:
        """Wait until the hub does not answer any more."""
        end = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < end:
            if not hub_answers(self.url):
                return
            time.sleep(0.5)
        raise AssertionError(f"a hub still answers at {self.url} after {BOOT_TIMEOUT} s")

    def wait_until_off(self) -> None:
        """Wait until libvirt says that the machine is shut off."""
        end = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < end:
            if virsh("domstate", self.domain).strip() == "shut off":
                return
            time.sleep(0.5)
        raise AssertionError(f"{self.domain} still runs after {BOOT_TIMEOUT} s")

    def _ssh(self, command: list[str], text: str) -> str:
        argv = machine_of(load(self.operator.config)).ssh_argv(command)
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout
