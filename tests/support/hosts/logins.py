"""Users of a host who log in with the operator's key."""

from __future__ import annotations

from tests.support.hosts.containers import Host

FREE = "NOPASSWD: ALL"


def add_user(host: Host, name: str, *, shell: str = "/bin/bash", start: str = "", sudo: str = FREE) -> None:
    """Add a user. `start`: the text of ~/.bashrc. `sudo`: the commands that they may run, if any."""
    keys = f"/home/{name}/.ssh/authorized_keys"
    rule = f"echo '{name} ALL=(ALL) {sudo}' >/etc/sudoers.d/{name}" if sudo else ":"
    host.run(f"""
        useradd --create-home --shell {shell} {name}
        install -D --owner={name} --mode=0600 /home/vagrant/.ssh/authorized_keys {keys}
        chown {name} /home/{name}/.ssh
        {rule}
        cat >/home/{name}/.bashrc <<'END'
{start}
END
    """)


def install(host: Host, *packages: str) -> None:
    """Install packages of the distribution's archive, and nothing that they recommend."""
    options = "-qqy --no-install-recommends -o Dpkg::Use-Pty=0"
    host.run(
        f"apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install {options} {' '.join(packages)}"
    )
