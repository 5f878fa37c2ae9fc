"""Users of a host who need a password for sudo, and one who may not use it at all."""

from __future__ import annotations

import subprocess

from tests.support.hosts.containers import Host
from tests.support.operators import PROGRAMS, PROJECT, Operator

PASSWORD = "correct horse"
USERS = """
useradd --create-home --shell /bin/bash plain
useradd --create-home --shell /bin/bash --groups sudo typing
echo 'typing:correct horse' | chpasswd
for user in plain typing; do
    install -D --owner=$user --mode=0600 /home/vagrant/.ssh/authorized_keys /home/$user/.ssh/authorized_keys
    chown $user /home/$user/.ssh
done
"""


def with_password(
    operator: Operator, host: Host, password: str, user: str = "typing", command: str = "plan"
) -> tuple[int, str]:
    """Run a command with --ask-sudo-password, and type the password. Returns exit code and output."""
    done = subprocess.run(
        [PROGRAMS / "hubwright", command, "-H", host.login(user), "-i", operator.key, "--ask-sudo-password"],
        cwd=PROJECT,
        env=operator.environment,
        input=f"{password}\n",
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,  # without a terminal the password is read from standard input
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
