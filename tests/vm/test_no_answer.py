"""A machine that boots but never answers SSH: the time-out, with the last lines of its console."""

from __future__ import annotations

import re

from provision.machines.paths import Paths
from provision.settings import load
from tests.vm.machines import Machine, virsh

SSH_TIMEOUT = "40s"  # after it has an address


def test_console_s_last_lines_are_shown(machine: Machine) -> None:
    machine.run("""
        systemctl disable --quiet ssh
        systemctl mask --quiet ssh.service ssh.socket
        systemd-run --quiet --on-active=1 systemctl poweroff
        """)
    machine.wait_until_off()
    with machine.operator.on_site(vm={"boot_timeout": SSH_TIMEOUT}):
        done = machine.operator.hubwright("up", code=1)
    done.says("never answered SSH", "the end of its console:", "[vm] boot_timeout (now 40 s)")
    shown = re.findall(r"^ +(\[ *\d+\.\d+\] .+)$", done.err, re.MULTILINE)
    said = Paths(load(machine.operator.config)).console.read_text(encoding="utf-8", errors="replace")
    assert shown, done
    assert all(line in said for line in shown)
    assert "Powering off" not in done.err, "Vagrant has done that, when all was over"
    assert virsh("domstate", machine.domain).strip() == "shut off", "it is not left running"
