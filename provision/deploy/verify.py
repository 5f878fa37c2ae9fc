"""Run tests/verify against hosts: checks of all that a visitor or an operator would notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from provision.deploy import outside
from provision.deploy.parallel import for_each_host
from provision.errors import HubwrightError
from provision.settings import Settings
from provision.ssh import Access, Target
from provision.tools.project import PROJECT

CHECKS = PROJECT / "tests" / "verify"
# Options of ssh's configuration about the way to a host, as `ssh -G` names them.
WAY_OPTIONS = ("hostname", "port", "user", "proxyjump", "proxycommand")
KNOWN_HOSTS_OPTIONS = ("userknownhostsfile", "globalknownhostsfile")
KEY_OPTIONS = ("identityfile", "identityagent", "certificatefile", "identitiesonly")

# Runs of the agent ask a host for its plain key (provision/ssh/known_hosts.py), and so do the checks.
NO_CERTIFICATES = "  HostKeyAlgorithms -*-cert-v01@openssh.com"


def verify(
    settings: Settings,
    targets: Sequence[Target],
    access: Access,
    extra: Sequence[str] = (),
    *,
    watcher: Target | None = None,
) -> bool:
    """True when every check holds on every host. pytest's own report goes to the terminal.

    `watcher`: the host that the hub's URL is asked from, in place of this computer.
    """
    if access.sudo_password is not None:
        raise HubwrightError(
            "verify needs a login user whose sudo asks for no password",
            hint="log in as root with -H root@host, or allow it in sudoers",
        )
    with tempfile.TemporaryDirectory(prefix="hubwright-") as folder:
        config = Path(folder) / "ssh_config"
        config.write_text(_ssh_config(targets, access, config.parent), encoding="utf-8")
        hosts = ",".join(f"ssh://host{n}" for n, _ in enumerate(targets))
        argv = [sys.executable, "-m", "pytest", str(CHECKS), f"--hosts={hosts}", f"--ssh-config={config}"]
        argv += ["-p", "no:cacheprovider", "--rootdir", str(PROJECT), "--tb=short", *extra]
        environment = {
            **os.environ,
            "HUBWRIGHT_CONFIG": str(settings.root / settings.file),
            "HUBWRIGHT_OUTSIDE": json.dumps(_outside(settings, targets, access, watcher)),
        }
        try:
            return subprocess.run(argv, env=environment, check=False, cwd=PROJECT).returncode == 0
        finally:
            for n, _ in enumerate(targets):
                _hang_up(config, f"host{n}")


def _outside(
    settings: Settings, targets: Sequence[Target], access: Access, watcher: Target | None
) -> dict[str, str]:
    """Host, as the checks call it, → the reason why people do not reach its hub, or nothing."""

    def ask(target: Target) -> str:
        return outside.fault(settings, target, access, watcher)

    chosen = {f"host{n}": each for n, each in enumerate(targets) if outside.is_asked(settings, each)}
    return dict(zip(chosen, for_each_host(list(chosen.values()), access, ask), strict=True))


def _ssh_config(targets: Sequence[Target], access: Access, sockets: Path) -> str:
    """An ssh_config(5) that knows the targets as host0, host1 and so on.

    Any other name that ssh looks up in it is a jump host, which the operator's own configuration describes.
    """
    names = [f"host{n}" for n, _ in enumerate(targets)]
    stanzas = [_stanza(name, target, access, sockets) for name, target in zip(names, targets, strict=True)]
    jumps = [
        f"Host * {' '.join(f'!{name}' for name in names)}",
        "  BatchMode yes",
        "  StrictHostKeyChecking yes",
        NO_CERTIFICATES,
        *([] if access.usual_known_hosts else [f"  UserKnownHostsFile {_quoted(access.known_hosts)}"]),
        "  Include ~/.ssh/config",
        "  Include /etc/ssh/ssh_config",
    ]
    return "\n".join([line for stanza in stanzas for line in stanza] + jumps) + "\n"


def _stanza(name: str, target: Target, access: Access, sockets: Path) -> list[str]:
    """The lines for one target. For a machine made on this computer: its own address, and any host key."""
    lines = [f"Host {name}", "  BatchMode yes", "  LogLevel ERROR"]
    # testinfra keeps a connection for the next command when it has a place for its socket.
    lines.append(f"  ControlPath {_quoted(sockets, '/%n')}")
    if target.identity:
        lines += [f"  IdentityFile {_quoted(target.identity)}", "  IdentitiesOnly yes"]
    if not target.made_here:
        lines += ["  StrictHostKeyChecking yes", NO_CERTIFICATES]
        if not access.usual_known_hosts:
            lines.append(f"  UserKnownHostsFile {_quoted(access.known_hosts)}")
        return lines + _configured(target)
    lines += ["  StrictHostKeyChecking no", "  UserKnownHostsFile /dev/null", f"  HostName {target.host}"]
    lines += [f"  Port {target.port}"] if target.port else []
    return lines + ([f"  User {target.user}"] if target.user else [])


def _configured(target: Target) -> list[str]:
    """The options that ssh's configuration sets for the target."""
    argv = ["ssh", "-G"]
    argv += ["-p", str(target.port)] if target.port else []
    argv += ["-l", target.user] if target.user else []
    done = subprocess.run([*argv, "--", target.host], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HubwrightError(
            f"ssh's configuration cannot be used: {done.stderr.strip()}",
            where=target.name,
            hint=f"correct it until `ssh -G {target.host}` agrees",
        )
    wanted = (
        (*WAY_OPTIONS, *KNOWN_HOSTS_OPTIONS)
        if target.identity
        else (*WAY_OPTIONS, *KNOWN_HOSTS_OPTIONS, *KEY_OPTIONS)
    )
    found = [line.partition(" ") for line in done.stdout.splitlines()]
    # A path may hold spaces. ProxyJump and ProxyCommand take the rest of the line, without quotes.
    return [
        f'  {key} "{value}"' if key in KEY_OPTIONS else f"  {key} {value}"
        for key, _, value in found
        if key in wanted
    ]


def _quoted(path: Path, tokens: str = "") -> str:
    """A path in the form of ssh_config(5): absolute, as pytest works in another folder, and % escaped."""
    return '"' + str(path.absolute()).replace("%", "%%") + tokens + '"'


def _hang_up(config: Path, host: str) -> None:
    """End the connection that testinfra kept, if there is one."""
    subprocess.run(["ssh", "-F", str(config), "-O", "exit", host], capture_output=True, check=False)
