"""sudo as administrators configure it: a run works, or one screen says in sudo's words why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.hosts.containers import Host, bare_host
from tests.support.hosts.logins import add_user, install
from tests.support.hosts.sudoers import PASSWORD, with_password
from tests.support.operators import Done, Operator

DEFAULTS = {
    "use_pty": "use_pty",
    "logged": "use_pty,log_input,log_output",
    "bare-path": "secure_path=/nowhere",
    "strict-umask": "umask=0077,umask_override",
    "lectured": "lecture=always,insults",
    "kept-environment": "!env_reset,!secure_path",
    "no-ticket": "timestamp_timeout=0",
}
RULES = [
    ("python-only", "NOPASSWD: /usr/bin/python3", 3, "to change"),
    ("password", "ALL", 1, "sudo: a password is required"),
    ("some", "NOPASSWD: /usr/bin/apt", 1, "sudo: a password is required"),
    ("none", "", 1, "sudo: a password is required"),
]


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-sudo") as host:
        install(host, "doas")
        yield host


@contextmanager
def sudoers(host: Host, text: str) -> Iterator[None]:
    host.run(f"cat >/etc/sudoers.d/zz-test <<'END'\n{text}\nEND")
    try:
        yield
    finally:
        host.run("rm /etc/sudoers.d/zz-test")


def plan(operator: Operator, host: Host, user: str, *, code: int = 3) -> Done:
    there = ("-H", host.login(user), "-i", str(operator.key), "--accept-new-host-key")
    return operator.hubwright("plan", "--only", "base", *there, code=code)


def refused(operator: Operator, host: Host, user: str, *words: str) -> Done:
    done = plan(operator, host, user, code=1)
    done.says(*words)
    assert "again" not in done.err
    assert not host.succeeds("test -e /var/lib/hubwright -o -e /etc/jupyterhub")
    return done


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_run_works_with_these_defaults(operator: Operator, host: Host, name: str) -> None:
    add_user(host, name)
    with sudoers(host, f"Defaults:{name} {DEFAULTS[name]}"):
        assert "to change" in plan(operator, host, name).err


@pytest.mark.parametrize(("name", "rule", "code", "said"), RULES)
def test_rules(operator: Operator, host: Host, name: str, rule: str, code: int, said: str) -> None:
    add_user(host, name, sudo=rule)
    if code == 1:
        refused(operator, host, name, "sudo wants a password for the login user", said, "--ask-sudo-password")
    else:
        assert said in plan(operator, host, name, code=code).err


def test_a_terminal_that_sudo_wants(operator: Operator, host: Host) -> None:
    add_user(host, "terminal")
    with sudoers(host, "Defaults:terminal requiretty"):
        refused(operator, host, "terminal", "requiretty", "you must have a tty to run sudo", "visudo")


def test_a_mistake_in_sudo_s_own_configuration(operator: Operator, host: Host) -> None:
    """sudo refuses its whole configuration, as for a file that other users may write."""
    add_user(host, "mistaken")
    host.run("chmod 0666 /etc/sudoers")
    try:
        refused(
            operator, host, "mistaken", "sudo cannot use its own configuration", "world writable", "visudo -c"
        )
    finally:
        host.run("chmod 0440 /etc/sudoers")


@pytest.mark.parametrize(
    "defaults",
    [
        "use_pty,log_input,timestamp_timeout=0",
        pytest.param("lecture=always,pwfeedback", marks=pytest.mark.full),
    ],
)
def test_passwords_with_these_defaults(operator: Operator, host: Host, defaults: str) -> None:
    if not host.succeeds("id typing"):
        add_user(host, "typing", sudo="ALL")
        host.run(f"echo 'typing:{PASSWORD}' | chpasswd")
    with sudoers(host, f"Defaults:typing {defaults}"):
        code, shown = with_password(operator, host, PASSWORD)
        assert code == 3, shown
        assert PASSWORD not in shown
        code, shown = with_password(operator, host, "wrong horse")
    assert code == 1, shown
    assert "sudo refused the password" in shown
    assert "wrong horse" not in shown


def test_a_password_does_not_help_with_some_commands_only(operator: Operator, host: Host) -> None:
    add_user(host, "limited", sudo="/usr/bin/apt")
    host.run(f"echo 'limited:{PASSWORD}' | chpasswd")
    code, shown = with_password(operator, host, PASSWORD, user="limited")
    assert code == 1, shown
    assert "for some commands only" in shown
    assert "is not allowed to execute" in shown


def test_doas_in_place_of_sudo(operator: Operator, host: Host) -> None:
    add_user(host, "doing", sudo="")
    add_user(host, "asked", sudo="")
    host.run(
        "printf 'permit nopass doing\\npermit asked\\n' >/etc/doas.conf; mv /usr/bin/sudo /usr/bin/sudo.away"
    )
    try:
        assert "to change" in plan(operator, host, "doing").err
        refused(operator, host, "asked", "doas: Authentication required")
        code, shown = with_password(operator, host, PASSWORD, user="asked")
        assert code == 1, shown
        assert "doas, which reads a password from terminals only" in shown
    finally:
        host.run("mv /usr/bin/sudo.away /usr/bin/sudo; rm /etc/doas.conf")
