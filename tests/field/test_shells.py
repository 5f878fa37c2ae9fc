"""Login shells as people have them: a run works in them, or says in their words why not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts.containers import Host, bare_host
from tests.support.hosts.logins import add_user, install
from tests.support.operators import Done, Operator

SHELLS = {"fish": "/usr/bin/fish", "tcsh": "/usr/bin/tcsh", "csh": "/usr/bin/bsd-csh", "zsh": "/usr/bin/zsh"}
START_FILES = {
    "prints": 'printf "Welcome! {\\"event\\": 7} [1] ünter"; echo; fortune',
    "moves": "cd /nowhere; cd /tmp; set -u; umask 077; alias python3=false",
    "loses-path": "PATH=/nowhere",
    "reads": "read -r answer",
    "conda": """
mkdir -p ~/conda/bin
printf '#!/bin/sh\\nexec sleep 0.1\\n' >~/conda/bin/python3
chmod +x ~/conda/bin/python3
export PATH=~/conda/bin:$PATH PYTHONHOME=/nowhere PYTHONPATH=$HOME LD_LIBRARY_PATH=/nowhere
printf 'raise SystemExit("not the library")\\n' | tee ~/json.py >~/queue.py""",
}
REFUSED = [
    ("nologin", {"shell": "/usr/sbin/nologin"}, "This account is currently not available"),
    ("nothing", {"shell": "/bin/false"}, "it ended with exit code 1, without a word"),
    ("restricted", {"shell": "/bin/rbash"}, "restricted"),
    ("leaves", {"start": "echo come back later; exit 3"}, "come back later"),
    ("another", {"start": "exec zsh"}, "starts another shell, which takes what is sent for commands"),
]


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-shells") as host:
        install(host, "fish", "tcsh", "csh", "zsh")
        yield host


def run(operator: Operator, host: Host, user: str, *words: str, code: int) -> Done:
    there = ("-H", host.login(user), "-i", str(operator.key), "--accept-new-host-key")
    return operator.hubwright(*(words or ("plan", "--only", "base")), *there, code=code)


@pytest.mark.parametrize("name", SHELLS)
def test_a_run_works_in_any_shell(operator: Operator, host: Host, name: str) -> None:
    add_user(host, name, shell=SHELLS[name])
    assert "to change" in run(operator, host, name, code=3).err
    assert "nothing is deployed" in run(operator, host, name, "status", code=1).out


@pytest.mark.parametrize("name", START_FILES)
def test_start_up_files_do_no_harm(operator: Operator, host: Host, name: str) -> None:
    add_user(host, name, start=START_FILES[name])
    assert "to change" in run(operator, host, name, code=3).err


@pytest.mark.parametrize(("name", "options", "said"), REFUSED)
def test_a_shell_that_runs_nothing_is_quoted(
    operator: Operator, host: Host, name: str, options: dict[str, str], said: str
) -> None:
    add_user(host, name, **options)
    done = run(operator, host, name, "apply", "--only", "base", code=1)
    done.says(said)
    assert "again" not in done.err
    assert not host.succeeds("test -e /etc/jupyterhub")


@pytest.mark.full
def test_a_start_up_file_that_never_ends_is_not_waited_for(operator: Operator, host: Host) -> None:
    add_user(host, "sleeps", start="echo one moment; sleep 600")
    run(operator, host, "sleeps", code=1).says("does not run the command in 30 s", "one moment")


@pytest.mark.full
def test_root_s_own_start_up_file_misleads_no_program(operator: Operator, host: Host) -> None:
    """Nothing cleans root's environment, as sudo does."""
    host.run("cp /root/.bashrc /root/.bashrc.before")
    host.run("install -D --mode=0600 /home/vagrant/.ssh/authorized_keys /root/.ssh/authorized_keys")
    host.run(f"cat >/root/.bashrc <<'END'\n{START_FILES['conda']}\nEND")
    try:
        assert "to change" in run(operator, host, "root", code=3).err
        assert "changed" in run(operator, host, "root", "apply", "--only", "python", code=0).err
        assert host.run("readlink -f /opt/hubwright/current/bin/python3").startswith("/usr/bin/")
    finally:
        host.run("mv /root/.bashrc.before /root/.bashrc; rm -r /root/conda /root/json.py /root/queue.py")
