"""From hub.toml to a machine that runs a hub, with one command."""

from __future__ import annotations

import json

from tests.support.hosts.containers import Host
from tests.support.operators import Done, Operator


def test_up_raises_deploys_once_and_prints_the_url(raised: tuple[Host, Done]) -> None:
    machine, done = raised
    assert done.out.strip() == machine.url
    assert done.err.count("raise the machine") >= 1
    assert done.err.count("hub: start jupyterhub") == 1
    assert done.err.count("held (") == 1, "one summary of one run"


def test_second_up_finds_everything_in_place(operator: Operator, machine: Host) -> None:
    done = operator.hubwright("up")
    assert done.unchanged
    assert done.out.strip() == machine.url


def test_url(operator: Operator, machine: Host) -> None:
    assert operator.hubwright("url").out.strip() == machine.url


def test_status_says_well(operator: Operator, machine: Host) -> None:
    [host] = json.loads(operator.hubwright("status", "--json").out)
    assert host["healthy"] is True
    assert set(host["units"].values()) == {"active"}
    assert machine.succeeds("systemctl is-active jupyterhub")


def test_status_says_when_it_is_not_well(operator: Operator, machine: Host) -> None:
    machine.run("systemctl stop hubwright-culler jupyterhub jupyterhub-proxy")
    try:
        assert machine.run("systemctl list-units --failed --no-legend") == "", "to be stopped is no failure"
        assert "NOT well" in operator.hubwright("status", code=1).out
    finally:
        operator.hubwright("apply")


def test_logs_are_the_hubs_own(operator: Operator, machine: Host) -> None:
    """The hub goes on writing: its journal, read later, has the same lines in a row, and maybe more."""
    shown = operator.hubwright("logs", "--lines", "20").out.splitlines()
    read = "journalctl --no-pager --output=short-iso --unit=jupyterhub --lines=2000"
    journal = machine.run(read).splitlines()
    assert len(shown) == 20
    assert shown in [journal[n : n + 20] for n in range(len(journal))]


def test_ssh_runs_a_command(operator: Operator, machine: Host) -> None:
    assert operator.hubwright("ssh", "--", "hostname").out.strip() == machine.container
