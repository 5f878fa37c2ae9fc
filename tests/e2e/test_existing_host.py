"""A host that Vagrant did not make: entered by SSH key, deployed despite accidents, and left as found.

The tests tell one story and stand in its order.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts.containers import Host, bare_host, differences, free_port
from tests.support.interrupts import interruptible
from tests.support.operators import Done, Operator
from tests.support.visitor import Visitor, visit

LOCK_TIMEOUT = 120  # seconds

SLOW_BOOT = """
cat >/etc/systemd/system/slow-boot.service <<'END'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sleep 15
[Install]
WantedBy=multi-user.target
END
systemctl enable slow-boot
"""


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-existing") as host:
        yield host


@pytest.fixture(scope="module")
def found(host: Host) -> dict[str, Any]:
    """The state of the host before all tests."""
    return host.snapshot("host")["host"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def there(operator: Operator, host: Host) -> tuple[str, ...]:
    """The options that name the host, of hubwright and of fab."""
    return ("-H", host.login(), "-i", str(operator.key))


def apply_until_it_may(operator: Operator, there: tuple[str, ...]) -> Done:
    """Apply again and again until no earlier run holds the lock."""
    end = time.monotonic() + LOCK_TIMEOUT
    while True:
        with operator.started("apply", *there) as run:
            code = run.end()
        said = "".join(run.lines)
        if "another run holds the lock" not in said:
            return Done("apply", code, "", said)
        assert time.monotonic() < end, said
        time.sleep(0.5)


def noted(operator: Operator, host: Host) -> list[tuple[str, str]]:
    """Kind and value of the host's keys that the operator has accepted."""
    lines = operator.known_hosts.read_text().splitlines() if operator.known_hosts.exists() else []
    entries = [line.split() for line in lines]
    return [(kind, key) for name, kind, key in entries if name == f"[127.0.0.1]:{host.ssh_port}"]


def test_unknown_host_key_is_refused(
    operator: Operator, host: Host, there: tuple[str, ...], found: dict[str, Any]
) -> None:
    fingerprints = host.run("for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done")
    for done in (operator.fab(*there, "deploy", code=1), operator.hubwright("apply", *there, code=1)):
        done.says("its host key is not known", "--accept-new-host-key", f"127.0.0.1:{host.ssh_port}")
        shown = done.err.partition("SHA256:")[2].split()[0]
        assert f"SHA256:{shown} " in fingerprints
    assert noted(operator, host) == []
    assert host.snapshot("host")["host"] == found


def test_accepted_key_is_shown_and_noted(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    done = operator.hubwright("plan", *there, "--accept-new-host-key", code=3)
    [(kind, key)] = noted(operator, host)
    assert f"{kind} {key}" in host.run("cat /etc/ssh/ssh_host_*.pub")
    assert "accepted the host key" in done.err


def test_jump_host_s_key_has_to_be_known_too(
    operator: Operator, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The jump host leads to itself, by its name inside."""
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    config.write_text(
        f"Host inside\n  HostName localhost\n  User vagrant\n  ProxyJump {host.login()}\n"
        f"Host *\n  IdentityFile {operator.key}\n  ConnectTimeout 30\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    known = operator.known_hosts.read_text()
    operator.known_hosts.write_text("")
    operator.hubwright("status", "-H", "inside", code=1).says(
        "jump host 127.0.0.1: its host key is not known"
    )
    assert operator.known_hosts.read_text() == ""
    operator.known_hosts.write_text(known)
    operator.hubwright("status", "-H", "inside", code=1).says("inside: its host key is not known")
    done = operator.hubwright("status", "-H", "inside", "--accept-new-host-key", code=1)
    assert "inside: nothing is deployed" in done.out


def test_marked_lines_of_known_hosts_mean_what_they_mean_to_openssh(
    operator: Operator, host: Host, there: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = operator.known_hosts.read_text()
    [(kind, key)] = noted(operator, host)
    checks = ("verify", *there, "-k", "test_no_unit_has_failed")
    try:
        operator.known_hosts.write_text(f"@cert-authority * {kind} {key}\nother ssh-rsa damaged\n{known}")
        assert "nothing is deployed" in operator.hubwright("status", *there, code=1).out
        operator.hubwright(*checks)
        operator.known_hosts.write_text(f"{known}@revoked * {kind} {key}\n")
        lines = len(operator.known_hosts.read_text().splitlines())
        for option in ((), ("--accept-new-host-key",)):
            operator.hubwright("plan", *there, *option, code=1).says(
                "its host key is revoked", f"({operator.known_hosts}:{lines})"
            )
        assert "Host key verification failed" in operator.hubwright(*checks, code=1).out
    finally:
        operator.known_hosts.write_text(known)
    config = tmp_path / ".ssh" / "config"
    config.parent.mkdir()
    config.write_text(f"Host *\n  GlobalKnownHostsFile {tmp_path}/all\n")
    (tmp_path / "all").write_text(f"@revoked * {kind} {key}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    operator.hubwright("plan", *there, code=1).says("its host key is revoked", f"({tmp_path}/all:1)")


def test_interrupted_driver_ends_at_once(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    """Even while another host says nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = f"127.0.0.1:{silent.getsockname()[1]}"
        with interruptible(), operator.started("plan", "-H", dead, *there) as run:
            run.wait_for(f"127.0.0.1:{host.ssh_port} ")
            began = time.monotonic()
            run.process.send_signal(signal.SIGINT)
            assert run.end() == 1
            assert time.monotonic() - began < 8
    assert "stopped; repeat the command" in "".join(run.lines)


def test_plan_of_a_bare_host_is_complete_and_changes_nothing(
    operator: Operator, host: Host, there: tuple[str, ...], found: dict[str, Any]
) -> None:
    [run] = json.loads(operator.hubwright("plan", *there, "--json", code=3).out)
    planned = {result["id"] for result in run["results"]}
    assert {"packages:docker", "service:jupyterhub", "service:hubwright-culler"} <= planned
    assert run["count"].get("failed", 0) == 0
    assert host.snapshot("host")["host"] == found


def test_power_cut_while_packages_are_installed(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    with operator.started("apply", *there) as run:
        run.wait_for("docker: installing")
        host.run("until pgrep --exact dpkg >/dev/null; do sleep 0.05; done")
        host.cut_power()
        assert run.end() == 1
    assert "an apply goes on where it stopped" in "".join(run.lines)


def test_killed_driver_while_the_environment_is_built(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    with operator.started("apply", *there) as run:
        run.wait_for("python: installing [0-9]+ Python packages")
        pid = host.run("cat /run/hubwright.lock").split()[1].rstrip(",")
        operator.hubwright("apply", *there, code=1).says("another run holds the lock", f"pid {pid},")
        assert operator.hubwright("plan", *there, code=3), "looking is allowed"
        run.kill()


def test_killed_driver_while_the_image_is_sent(
    operator: Operator, host: Host, there: tuple[str, ...]
) -> None:
    host.wait_for_runs()
    with operator.started("apply", *there) as run:
        run.wait_for("notebook_image: load")
        run.kill()


def test_next_run_finishes_it(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    host.wait_for_runs()
    done = operator.fab(*there, "deploy")
    assert "hub: start jupyterhub" in done.err
    assert asyncio.run(visit(host.url, "print(6 * 7)"))["printed"] == "42\n"
    operator.hubwright("status", *there)


def test_one_after_it_changes_nothing(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    before = host.snapshot("managed")
    assert operator.fab(*there, "deploy").unchanged
    assert operator.hubwright("apply", *there).unchanged
    assert operator.fab(*there, "role-hub").unchanged
    assert host.snapshot("managed") == before


def test_power_cut_in_the_middle_of_a_change(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    """The new settings are on the disk, but no run has recorded a restart of the hub for them."""
    with operator.changed(hub={"title": "Cut short"}):
        with operator.started("apply", *there) as run:
            run.wait_for("hub: .*hub.json")
            host.cut_power()
            run.end()
        operator.hubwright("apply", *there)
        assert "Cut short" in page(host)
        assert operator.hubwright("apply", *there).unchanged
    operator.hubwright("apply", *there)
    assert "Cut short" not in page(host)


def test_a_machine_that_starts_is_given_time(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    host.run(SLOW_BOOT)
    try:
        host.cut_power()
        with operator.started("plan", *there) as run:
            run.wait_for("boot: waiting until the host has started")
            assert run.end() == 0, "what has not started yet is no change to make"
        assert host.run("systemctl is-active slow-boot").strip() == "active"
    finally:
        host.run("systemctl disable slow-boot; rm /etc/systemd/system/slow-boot.service")


def page(host: Host) -> str:
    """A page of the hub itself, as a visitor sees it."""
    return asyncio.run(Visitor(host.url).get(f"{host.url}hub/nothing-here")).body.decode()


def test_verify_reaches_it(operator: Operator, there: tuple[str, ...]) -> None:
    assert "3 passed" in operator.hubwright("verify", *there, "-k", "health").out


def test_every_host_is_reported(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    """A host that does not answer does not delay the others."""
    dead = f"vagrant@127.0.0.1:{free_port()}"
    done = operator.hubwright("apply", "-H", dead, *there, code=1)
    assert f"127.0.0.1:{host.ssh_port}: 0 changed, everything holds" in done.err
    done.says("Connection refused")
    done = operator.fab("-H", f"{dead},{host.login()}", "-i", str(operator.key), "status", code=1)
    assert f"127.0.0.1:{host.ssh_port}: well" in done.out


def test_uninstall_leaves_the_host_as_it_was(
    operator: Operator, host: Host, there: tuple[str, ...], found: dict[str, Any]
) -> None:
    operator.hubwright("destroy", *there, "--yes")
    host.cut_power()  # a restart removes all that only the kernel holds, such as Docker's bridge
    assert differences(found, host.snapshot("host")["host"]) == {}
    operator.hubwright("destroy", *there, "--yes")


def test_changed_host_key_is_refused(operator: Operator, host: Host, there: tuple[str, ...]) -> None:
    host.run("rm /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; systemctl restart ssh")
    host.wait_until_up()
    for options in ((), ("--accept-new-host-key",)):
        done = operator.hubwright("apply", *there, *options, code=1)
        done.says("the host's key has changed", "ssh-keygen -f", "-R")
    operator.fab(*there, "deploy", "--accept-new-host-key", code=1).says("the host's key has changed")
