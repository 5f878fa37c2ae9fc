"""The way to a host as ssh itself understands its configuration: `ssh -G`.

It knows Include, Match and all else, and connects to nothing. Where no ssh is installed, paramiko's reader
stands in, see connections.py.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.errors import HubwrightError

ASK_TIMEOUT = 30.0  # seconds: `Match exec` runs programs
SYSTEM = "/etc/ssh/ssh_config"
_USUAL_KEYS = frozenset(
    f"~/.ssh/id_{kind}" for kind in ("rsa", "dsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss")
)
_ADDRESS = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True)
class Way:
    """The way that ssh would take to a host. `options`: those that are set, as `ssh -G` names them."""

    asked: str
    host: str
    user: str
    port: int
    jumps: tuple[str, ...] = ()
    command: str = ""
    keys: tuple[str, ...] = ()
    alias: str = ""
    timeout: int | None = None
    only_these_keys: bool = False
    options: Mapping[str, str] | None = None


def ask(host: str, user: str | None = None, port: int | None = None) -> Way | None:
    """ssh's word about a host, or None where there is no ssh. Raises HubwrightError with ssh's complaint."""
    if shutil.which("ssh") is None:
        return None
    argv = ["ssh", "-G", *_files(), *(["-l", user] if user else []), *(["-p", str(port)] if port else [])]
    try:
        done = subprocess.run(
            [*argv, "--", host],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ASK_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unusable(host, f"`ssh -G` does not end in {ASK_TIMEOUT:.0f} s") from None
    if done.returncode != 0:
        raise _unusable(host, done.stderr.decode(errors="replace").strip()[-600:])
    return parse(host, done.stdout.decode(errors="replace"))


def _unusable(host: str, reason: str) -> HubwrightError:
    return HubwrightError(
        f"ssh's configuration cannot be used: {reason}",
        where=host,
        hint=f"correct ~/.ssh/config or {SYSTEM} until `ssh -G {host}` agrees",
    )


def _files() -> list[str]:
    """ssh takes the home folder from the table of users; the rest of this program, and people, from HOME."""
    home = Path.home()
    if str(home) == pwd.getpwuid(os.getuid()).pw_dir:
        return []
    own = home / ".ssh" / "config"
    return ["-F", str(own) if own.is_file() else SYSTEM if Path(SYSTEM).is_file() else os.devnull]


def parse(asked: str, text: str) -> Way:
    """The way that the output of `ssh -G` describes."""
    options: dict[str, str] = {}
    keys: list[str] = []
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "identityfile":
            keys.append(value)
        else:
            options[name] = value
    host, user, port = options.get("hostname", asked), options.get("user", ""), options.get("port", "22")
    known = {"%": "%", "h": host, "n": asked, "p": port, "r": user, "d": str(Path.home()), "u": _local_user()}

    def expanded(value: str) -> str:
        return re.sub("%(.)", lambda token: known.get(token[1], token[0]), value)

    if set(keys) <= _USUAL_KEYS and len(keys) > 2:  # named by no one: paramiko looks for those by itself
        keys = []
    jumps = options.get("proxyjump", "none")
    command = options.get("proxycommand", "none")
    timeout = options.get("connecttimeout", "none")
    for name in ("userknownhostsfile", "globalknownhostsfile"):
        if re.fullmatch(r"(\S+)/(ssh_)?known_hosts \1/(ssh_)?known_hosts2", options.get(name, "")):
            del options[name]  # the usual ones
    return Way(
        asked,
        host,
        user,
        int(port),
        () if jumps.lower() == "none" else tuple(jumps.split(",")),
        "" if command.lower() == "none" else expanded(command),
        tuple(str(path) for path in map(Path.expanduser, map(Path, map(expanded, keys))) if path.is_file()),
        options.get("hostkeyalias", ""),
        int(timeout) if timeout.isdigit() else None,
        options.get("identitiesonly") == "yes",
        options,
    )


def _local_user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def split(jump: str) -> tuple[str, str | None, int | None]:
    """Host, user and port of a jump host, as ProxyJump names it."""
    match = _ADDRESS.fullmatch(jump.strip())
    if match is None:
        raise _unusable(jump, f"{jump!r} names no jump host")
    return match["host"].strip("[]"), match["user"], int(match["port"]) if match["port"] else None
