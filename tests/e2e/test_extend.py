"""[extend] on a host: configuration, a package, a role and commands of the operator's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.hosts.containers import Host
from tests.support.operators import Operator

CONFIG = (
    "c.JupyterHub.template_vars.update({'own': 1})\n"
    "c.Spawner.args.append('--ServerApp.max_body_size=9999999')\n"
)
ROLE = '''
from provision.agent.resources import Directory, Service
from roles.role import Data, Role

UNIT = """
[Unit]
Description=Nothing, for ever
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""

ROLE = Role(
    "sleeper",
    "a unit of our own",
    lambda inputs: [Directory("/srv/sleeper"), Service("sleeper", UNIT)],
    needs=("base",),
    units=lambda settings: ("sleeper",),
    state=(Data("what sleepers dream", path="/srv/sleeper"),),
)
'''


@pytest.fixture
def folder(operator: Operator) -> Path:
    """A folder with the operator's own files beside hub.toml."""
    found = operator.config.parent
    (found / "own.py").write_text(CONFIG, encoding="utf-8")
    (found / "sleeper.py").write_text(ROLE, encoding="utf-8")
    return found


def test_own_configuration_is_loaded_and_a_faulty_one_leaves_the_hub_alone(
    operator: Operator, machine: Host, folder: Path
) -> None:
    with operator.changed(extend={"hub_config": ["own.py"]}):
        operator.hubwright("apply")
        assert operator.hubwright("apply").unchanged
        started = machine.start_time("jupyterhub")
        assert started

        (folder / "own.py").write_text("c.Spawner.mem_limt = '1G'\n", encoding="utf-8")
        done = operator.hubwright("apply", code=1)
        done.says("Spawner has no option mem_limt, did you mean mem_limit?", "own.py is refused")
        assert machine.start_time("jupyterhub") == started
        machine.wait_for_hub()
        machine.run("systemctl restart jupyterhub")  # as after a crash: with the old file
        machine.wait_for_hub()

        (folder / "own.py").write_text(CONFIG, encoding="utf-8")
        operator.hubwright("apply")
    operator.hubwright("apply")
    assert not machine.succeeds("test -e /etc/jupyterhub/config.d")


def test_an_own_role_is_planned_applied_watched_and_removed(
    operator: Operator, machine: Host, folder: Path
) -> None:
    notes = folder / "notes"
    with operator.changed(
        extend={"roles": ["sleeper.py"], "before_apply": ["touch notes"], "after_apply": ["rm notes"]}
    ):
        assert "sleeper" in operator.hubwright("plan", code=3).err
        assert not notes.exists()
        operator.hubwright("apply")
        assert not notes.exists()
        assert machine.succeeds("systemctl is-active sleeper")
        assert "sleeper" in operator.hubwright("status").out
        assert operator.hubwright("apply").unchanged
        machine.run("systemctl stop sleeper")
        assert "sleeper is inactive" in operator.hubwright("status", code=1).out
        operator.hubwright("apply")
    operator.hubwright("apply")
    assert not machine.succeeds("systemctl cat sleeper")
    assert not machine.succeeds("test -e /srv/sleeper")
