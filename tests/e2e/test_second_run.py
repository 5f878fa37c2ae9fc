"""A second run changes nothing at all."""

from __future__ import annotations

import json

from tests.support.hosts.containers import Host
from tests.support.operators import Operator


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
    """A plan names a file that was changed by hand, with which the hub was started; an apply repairs it."""
    before = machine.snapshot("managed")
    file = "/etc/jupyterhub/jupyterhub_config.py"
    machine.run(f"echo '# by hand' >>{file}; chmod 0666 {file}; systemctl disable --quiet jupyterhub-proxy")
    machine.run("systemctl restart jupyterhub")
    started = machine.start_time("jupyterhub")

    plan = operator.hubwright("plan", code=3)
    for words in (f"change {file}", "-# by hand", "enable jupyterhub-proxy", "restart jupyterhub"):
        assert words in plan.err
    assert machine.succeeds(f"grep -q 'by hand' {file}")
    assert machine.start_time("jupyterhub") == started

    [run] = json.loads(operator.hubwright("apply", "--json").out)
    assert run["count"]["changed"] == 3
    assert machine.start_time("jupyterhub") > started
    assert machine.succeeds("systemctl is-enabled jupyterhub-proxy")
    after = machine.snapshot("managed")
    assert after["managed"]["files"][file][:4] == before["managed"]["files"][file][:4]
    assert operator.hubwright("apply").unchanged
