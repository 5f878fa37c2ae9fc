"""ssh's configuration as people have it, in ssh's own word: a run takes the way that ssh would take."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.hosts.containers import Host, bare_host
from tests.support.operators import Done, Operator

Configured = Callable[..., Done]

INCLUDED = """
Match originalhost hub exec "test -n '%n'"
  HostName 127.0.0.1
  Port {port}
  User vagrant
  IdentityFile ~/keys/%n
  IdentitiesOnly yes
  HostKeyAlias the-hub
"""
JUMPING = """
Host *
  ProxyJump door
  HostKeyAlias the-hub
  IdentityFile ~/keys/hub
  User vagrant
Host door
  HostName 127.0.0.1
  Port {port}
Host hub
  HostName 127.0.0.1
  Port 22
"""
COMMAND = """
Host hub
  HostName 127.0.0.1
  User vagrant
  IdentityFile ~/keys/hub
  HostKeyAlias the-hub
  ProxyCommand python3 ~/pipe.py %h {port}
"""
PIPE = """
import os, socket, sys, threading
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        line.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := line.recv(65536):
    os.write(1, data)
"""


@pytest.fixture(scope="module")
def host(operator: Operator) -> Iterator[Host]:
    with bare_host(operator, f"{operator.hub['vm']['name']}-ssh") as host:
        yield host


@pytest.fixture
def configured(operator: Operator, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    """A function that plans for the name `hub`, with this text as what ~/.ssh/config includes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "hub").write_bytes(operator.key.read_bytes())
    (tmp_path / "keys" / "hub").chmod(0o600)
    (tmp_path / "pipe.py").write_text(PIPE)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"Include {tmp_path}/.ssh/more/*.conf\n")
    (tmp_path / ".ssh" / "more").mkdir()

    def plan(text: str, *options: str, code: int = 3) -> Done:
        (tmp_path / ".ssh" / "more" / "hub.conf").write_text(text.format(port=host.ssh_port))
        words = ("plan", "--only", "base", "-H", "hub", "--accept-new-host-key", *options)
        return operator.hubwright(*words, code=code)

    return plan


@pytest.mark.parametrize("text", [INCLUDED, JUMPING, COMMAND], ids=["match", "jump", "command"])
def test_the_way_is_ssh_s(operator: Operator, configured: Configured, text: str) -> None:
    operator.known_hosts.unlink(missing_ok=True)
    assert "to change" in configured(text).err
    names = {line.split()[0] for line in operator.known_hosts.read_text().splitlines()}
    assert names == {"the-hub"}, "the alias, for each host on the way"


def test_jump_hosts_in_a_circle_are_named(configured: Configured) -> None:
    text = "Host hub\n  ProxyJump door\nHost door\n  ProxyJump hub\n"
    configured(text, code=1).says("in a circle: hub → door → hub", "ProxyJump none")


def test_a_mistake_is_told_in_ssh_s_words(configured: Configured) -> None:
    configured("Host hub\n  Prot 22\n", code=1).says("Bad configuration option: prot", "ssh -G hub")


@pytest.mark.parametrize("form", ["PEM", "RFC4716"])
def test_a_refused_rsa_key_is_a_refused_key(configured: Configured, tmp_path: Path, form: str) -> None:
    key = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-m", form, "-N", "", "-f", key], check=True)
    done = configured(INCLUDED, "-i", str(key), code=1)
    done.says("vagrant is not let in", "-i FILE")
    assert "OPENSSH" not in done.err
