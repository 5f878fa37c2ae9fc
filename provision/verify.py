"""Runs tests/verify against hosts: what a visitor and an operator would notice."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from provision.errors import HubwrightError
from provision.hosts import Access, Target
from provision.settings import Settings

CHECKS = Path(__file__).parent.parent / "tests" / "verify"


def verify(settings: Settings, targets: Sequence[Target], access: Access, extra: Sequence[str] = ()) -> bool:
    """True when every check holds on every host. pytest's own report goes to the terminal."""
    if access.sudo_password is not None:
        raise HubwrightError(
            "verify needs a login user whose sudo asks for no password",
            hint="log in as root with -H root@host, or allow it in sudoers",
        )
    with tempfile.TemporaryDirectory(prefix="hubwright-") as folder:
        config = Path(folder) / "ssh_config"
        config.write_text(
            "".join(_stanza(n, target, access, config.parent) for n, target in enumerate(targets)),
            encoding="utf-8",
        )
        hosts = ",".join(f"ssh://host{n}" for n, _ in enumerate(targets))
        argv = [sys.executable, "-m", "pytest", str(CHECKS), f"--hosts={hosts}", f"--ssh-config={config}"]
        argv += ["-p", "no:cacheprovider", "--rootdir", str(CHECKS.parent.parent), "--tb=short", *extra]
        environment = {**os.environ, "HUBWRIGHT_CONFIG": str(settings.root / settings.file)}
        try:
            return (
                subprocess.run(argv, env=environment, check=False, cwd=CHECKS.parent.parent).returncode == 0
            )
        finally:
            for n, _ in enumerate(targets):
                _hang_up(config, f"host{n}")


def _stanza(number: int, target: Target, access: Access, sockets: Path) -> str:
    """A host of ssh_config(5). A machine that this computer made has no key worth remembering."""
    lines = [f"Host host{number}", f"  HostName {target.host}", "  BatchMode yes", "  LogLevel ERROR"]
    # testinfra keeps a connection for the next command, if it is told where.
    lines.append(f"  ControlPath {sockets}/%n")
    if target.port:
        lines.append(f"  Port {target.port}")
    if target.user:
        lines.append(f"  User {target.user}")
    if target.identity:
        lines += [f"  IdentityFile {target.identity}", "  IdentitiesOnly yes"]
    if target.vouched:
        lines += ["  StrictHostKeyChecking no", "  UserKnownHostsFile /dev/null"]
    else:
        lines += ["  StrictHostKeyChecking yes", f"  UserKnownHostsFile {access.known_hosts}"]
    return "\n".join(lines) + "\n"


def _hang_up(config: Path, host: str) -> None:
    """End the connection that was kept; there may be none."""
    subprocess.run(["ssh", "-F", str(config), "-O", "exit", host], capture_output=True, check=False)
