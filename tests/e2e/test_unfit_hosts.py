"""Hosts that a hub cannot be put on, or not yet: refused with a reason and advice, and left as they were."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.agent.distributions import KNOWN
from tests.support.hosts.containers import Host, bare_host, docker
from tests.support.hosts.sudoers import PASSWORD, USERS, with_password
from tests.support.operators import PROJECT, Done, Operator


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-unfit") as host:
        host.run(USERS)
        yield host


def apply(operator: Operator, host: Host, *options: str, user: str = "vagrant", code: int = 1) -> Done:
    identity = () if "-i" in options else ("-i", str(operator.key))
    return operator.hubwright(
        "apply", "-H", host.login(user), *identity, "--accept-new-host-key", *options, code=code
    )


def refused(operator: Operator, host: Host, *options: str, user: str = "vagrant") -> Done:
    """The output of an apply that was refused."""
    done = apply(operator, host, *options, user=user)
    assert not host.succeeds("test -e /var/lib/hubwright")
    return done


@contextmanager
def hidden(host: Host, path: str) -> Iterator[None]:
    host.run(f"mv {path} {path}.hidden")
    try:
        yield
    finally:
        host.run(f"mv {path}.hidden {path}")


def test_key_that_is_not_accepted(operator: Operator, host: Host, tmp_path: Path) -> None:
    key = tmp_path / "another"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    refused(operator, host, "-i", str(key)).says(
        "vagrant is not let in", f"127.0.0.1:{host.ssh_port}", "-i FILE"
    )


def test_user_without_sudo(operator: Operator, host: Host) -> None:
    refused(operator, host, user="plain").says("sudo wants a password", "--ask-sudo-password")


def test_host_without_sudo(operator: Operator, host: Host) -> None:
    with hidden(host, "/usr/bin/sudo"):
        refused(operator, host).says("there is no sudo", "log in as root")


def test_host_without_python(operator: Operator, host: Host) -> None:
    with hidden(host, "/usr/bin/python3"):
        refused(operator, host).says("python3 is not installed", "apt-get install python3")


@contextmanager
def calling_itself(host: Host, id_: str, version: str, name: str) -> Iterator[None]:
    with hidden(host, "/etc/os-release"):
        host.run(f"printf '%s\\n' ID={id_} VERSION_ID={version} 'PRETTY_NAME=\"{name}\"' >/etc/os-release")
        try:
            yield
        finally:
            host.run("rm /etc/os-release")


def test_unsupported_distribution(operator: Operator, host: Host) -> None:
    with calling_itself(host, "fedora", "42", "Fedora Linux 42"):
        known = [distribution.name for distribution in KNOWN.values()]
        refused(operator, host).says("Fedora Linux 42 is not supported", *known)


def test_operator_s_machine_is_one_that_hosts_may_be_or_later(host: Host) -> None:
    """`make setup` has the agent's list: it refuses the systems that the agent would."""
    docker("cp", str(PROJECT / "provision"), f"{host.container}:/root/provision")
    try:
        for id_, version in (("fedora", "42"), ("debian", "11"), ("ubuntu", "20.10")):
            with calling_itself(host, id_, version, "Another"):
                said = host.run("! sh /root/provision/setup.sh 2>&1")
            assert "this is Another" in said
            assert "use Debian 12, Ubuntu 22.04 or a later one of either" in said
    finally:
        host.run("rm -r /root/provision")


def test_sudo_with_password(operator: Operator, host: Host) -> None:
    refused(operator, host, user="typing").says("sudo wants a password", "--ask-sudo-password")
    code, shown = with_password(operator, host, PASSWORD)
    assert code == 3, shown
    assert "start jupyterhub" in shown
    assert PASSWORD not in shown


def test_wrong_sudo_password(operator: Operator, host: Host) -> None:
    code, shown = with_password(operator, host, "wrong horse")
    assert code == 1, shown
    assert "sudo refused the password" in shown
    assert "wrong horse" not in shown


def test_password_of_a_user_without_sudo(operator: Operator, host: Host) -> None:
    host.run("echo 'plain:correct horse' | chpasswd")
    code, shown = with_password(operator, host, PASSWORD, user="plain")
    assert code == 1, shown
    assert "may not use sudo" in shown


@pytest.mark.parametrize(
    ("password", "said"), [(PASSWORD, "nothing is deployed"), ("wrong horse", "sudo refused the password")]
)
def test_looking_with_a_sudo_password(operator: Operator, host: Host, password: str, said: str) -> None:
    code, shown = with_password(operator, host, password, command="status")
    assert code == 1, shown
    assert said in shown
    assert password not in shown


def test_looking_as_root_needs_no_sudo(operator: Operator, host: Host) -> None:
    host.run("install -D --mode=0600 /home/vagrant/.ssh/authorized_keys /root/.ssh/authorized_keys")
    with hidden(host, "/usr/bin/sudo"):
        _, shown = with_password(operator, host, PASSWORD, user="root", command="status")
    assert "nothing is deployed" in shown


def test_disk_without_room(operator: Operator, host: Host) -> None:
    host.run("mkdir /var/lib/docker; mount --types tmpfs --options size=200m tmpfs /var/lib/docker")
    try:
        refused(operator, host).says("only 0.2 GiB free at /var/lib/docker", "2.0 GiB")
    finally:
        host.run("umount /var/lib/docker; rmdir /var/lib/docker")


def test_apt_lock_is_waited_for_then_named(operator: Operator, host: Host) -> None:
    holder = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)"
    host.run(f'systemd-run --quiet --unit=holder python3 -c "{holder}; time.sleep(600)"')
    try:
        with operator.changed(deploy={"apt_lock_wait": "2s"}):
            done = apply(operator, host, "--only", "python", "--json")
    finally:
        host.run("systemctl stop holder")
    done.says("apt's lock has been held for 2 s by python3 (pid ", "[deploy] apt_lock_wait")


def test_apt_lock_that_is_let_go_does_no_harm(operator: Operator, host: Host) -> None:
    holder = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)"
    host.run(f'systemd-run --quiet --unit=holder python3 -c "{holder}; time.sleep(600)"')
    arguments = ["apply", "-H", host.login(), "-i", str(operator.key), "--only", "python"]
    with operator.started(*arguments) as run:
        run.wait_for(r"waiting for python3 \(pid \d+\), which holds apt's lock")
        host.run("systemctl stop holder")
        run.wait_for("install python3-venv")
        run.kill()
    host.wait_for_runs()


def test_disk_that_fills_up(operator: Operator, host: Host) -> None:
    host.run("mkdir -p /opt; mount --types tmpfs --options size=30m tmpfs /opt")
    try:
        apply(operator, host, "--only", "python").says("No space left on device", "free some space")
    finally:
        host.run("umount /opt")
