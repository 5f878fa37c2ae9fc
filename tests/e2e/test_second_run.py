"""A second run changes nothing at all."""

from __future__ import annotations

import json

from tests.e2e.hosts import Host
from tests.e2e.operators import Operator


def test_plan_has_nothing_to_do(operator: Operator, machine: Host) -> None:
    before = machine.snapshot("managed")
    assert operator.hubwright("plan").unchanged
    assert machine.snapshot("managed") == before


def test_apply_touches_nothing(operator: Operator, machine: Host) -> None:
    before = machine.snapshot("managed")
    assert len(before["managed"]["files"]) > 5000
    [run] = json.loads(operator.hubwright("apply", "--json").out)
    assert set(run["count"]) == {"ok"}
    assert machine.snapshot("managed") == before


def test_fab_deploy_touches_nothing(operator: Operator, machine: Host) -> None:
    before = machine.snapshot("managed")
    assert operator.fab("deploy").unchanged
    assert machine.snapshot("managed") == before


def test_drift_is_planned_then_repaired(operator: Operator, machine: Host) -> None:
    """What somebody changed by hand: the plan names it and changes nothing; the apply mends just that."""
    before = machine.snapshot("managed")
    file = "/etc/jupyterhub/jupyterhub_config.py"
    machine.run(f"echo '# by hand' >>{file}; chmod 0666 {file}; systemctl disable --quiet jupyterhub-proxy")
    plan = operator.hubwright("plan", code=3)
    assert f"change {file}" in plan.err
    assert "-# by hand" in plan.err
    assert "enable jupyterhub-proxy" in plan.err
    assert machine.succeeds(f"grep -q 'by hand' {file}")
    [run] = json.loads(operator.hubwright("apply", "--json").out)
    assert run["changes"] == 2
    assert operator.hubwright("apply").unchanged
    after = machine.snapshot("managed")
    assert after["managed"]["files"][file][:4] == before["managed"]["files"][file][:4]
    assert machine.succeeds("systemctl is-enabled jupyterhub-proxy")
