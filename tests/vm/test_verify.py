"""All checks of a host hold on a virtual machine, whose limits are those of control groups 2."""

from __future__ import annotations

import re

from tests.vm.machines import Machine


def test_all_checks_hold(machine: Machine) -> None:
    done = machine.operator.hubwright("verify", "-rs")
    assert re.search(r"\b\d\d+ passed", done.out), done
    assert "failed" not in done.out.splitlines()[-1]
    assert not re.search(r"^SKIPPED .*test_(limits|precedence)", done.out, re.MULTILINE), "all were tried"
