"""`hubwright verify` passes a good machine and names the faults of a broken one."""

from __future__ import annotations

import re

from tests.support.hosts.containers import Host
from tests.support.operators import Done, Operator

LOGINS = "journalctl --quiet --unit=ssh --output=cat | grep --count '^Accepted publickey for vagrant' || true"


def failed(done: Done) -> set[str]:
    """Names of the checks that failed."""
    return set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.out, re.MULTILINE))


def test_good_machine_passes(operator: Operator, machine: Host) -> None:
    servers = "docker ps --quiet --filter name=^hubwright-server-"
    before, logins = machine.run(servers), int(machine.run(LOGINS))
    done = operator.fab("verify")
    assert re.search(r"\b\d\d passed", done.out)
    assert machine.run(servers) == before, "servers that it started have ended"
    assert int(machine.run(LOGINS)) == logins + 1, "all checks go through one connection"
    assert not machine.succeeds("pgrep --full 'sshd: vagrant'"), "which has ended"


def test_broken_machine_is_noticed(operator: Operator, machine: Host) -> None:
    machine.run("""
        chmod 0644 /etc/jupyterhub/hub.json
        systemctl stop hubwright-culler hubwright-fence
        iptables --insert FORWARD --in-interface hubwright0 --out-interface hubwright0 --jump ACCEPT
        sed --in-place --expression='s/"pids_limit": hub/"pids_limit": 16 * hub/; s/"fsize"/"core"/' \\
            --expression='s/pull_policy/pull_polcy/' \\
            /etc/jupyterhub/jupyterhub_config.py
        systemctl restart jupyterhub
        systemd-run --quiet --unit=broken false
        """)
    try:
        chosen = "unit or cannot_read or reach_each or nothing_else or processes or file_beyond or every_opt"
        done = operator.hubwright("verify", "-k", chosen, code=1)
    finally:
        machine.run("""
            systemctl reset-failed broken
            iptables --delete FORWARD --in-interface hubwright0 --out-interface hubwright0 --jump ACCEPT
            """)
        operator.hubwright("apply")
    assert failed(done) == {
        "test_unit_is_as_wanted",
        "test_units_run_and_are_enabled",
        "test_container_reaches_the_hub_and_nothing_else_of_the_host",
        "test_no_unit_has_failed",
        "test_another_user_cannot_read",
        "test_containers_do_not_reach_each_other",
        "test_processes_beyond_the_limit_are_refused",
        "test_file_beyond_the_limit_is_refused",
        "test_hub_takes_every_option",
    }


def test_dead_hub_fails_the_visit_quickly(operator: Operator, machine: Host) -> None:
    machine.run("systemctl stop jupyterhub")
    try:
        done = operator.hubwright("verify", "-k", "kernel_answers", code=1)
    finally:
        operator.hubwright("apply")
    assert failed(done) == {"test_kernel_answers"}
