"""Hosts of the tests: containers on this computer. Tests enter them by SSH or by Docker's exec."""

from __future__ import annotations

import io
import json
import re
import shlex
import socket
import ssl
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision.settings import Settings
from roles import SHIPPED
from tests.support.operators import PROJECT, Operator

SNAPSHOT = Path(__file__).with_name("snapshot.py")
BOOT_TIMEOUT = 180  # seconds
# Files that apt, systemd and Ubuntu's logins leave or renew by themselves; none has any effect.
LEFT_BY_OTHERS = (
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/ld.so.cache",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/subgid-",
    "/etc/subuid-",
    "/home/vagrant/.cache",
    "/var/lib/apt/",
    "/var/lib/dpkg/",
    "/var/lib/systemd/",
    "/var/lib/private",
    "/var/lib/sudo",
)
ANY_CERTIFICATE = ssl._create_unverified_context()  # a host makes its own when it is deployed


def docker(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {shlex.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Host:
    """A host. `container` is its name; `ssh_port` and `port`, the hub's, are on `address`."""

    container: str
    ssh_port: int
    port: int
    address: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}/"

    def login(self, user: str = "vagrant") -> str:
        return f"{user}@{self.address}:{self.ssh_port}"

    def run(self, script: str) -> str:
        """Standard output of a shell script that root runs on the host; fails the test when that fails."""
        return docker("exec", "--interactive", self.container, "bash", "-eu", "-s", stdin=script)

    def succeeds(self, script: str) -> bool:
        argv = ["docker", "exec", "--interactive", self.container, "bash", "-eu", "-s"]
        return subprocess.run(argv, input=script, capture_output=True, text=True, check=False).returncode == 0

    def snapshot(self, *parts: str) -> dict[str, Any]:
        """The state of the host, see snapshot.py."""
        argv = ["exec", "--interactive", self.container, "python3", "-", *parts]
        units = SHIPPED.units(Settings.model_validate({"root": Path("/"), "image": {"build": "."}}))
        program = SNAPSHOT.read_text(encoding="utf-8").replace("UNITS = ()", f"UNITS = {units!r}")
        found: dict[str, Any] = json.loads(docker(*argv, stdin=program))
        return found

    def start_time(self, unit: str) -> int:
        """The start of a unit in microseconds since the boot; 0 when the unit does not run."""
        show = f"systemctl show {unit} --property=ActiveState,ActiveEnterTimestampMonotonic --value"
        state, moment = sorted(self.run(show).split(), reverse=True)
        return int(moment) if state == "active" else 0

    def wait_for_hub(self) -> None:
        """Wait until the hub answers through the proxy."""
        end = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < end:
            if hub_answers(self.url):
                return
            time.sleep(0.2)
        raise AssertionError(f"no hub answers at {self.url} in {BOOT_TIMEOUT} s")

    def wait_until_up(self) -> None:
        """Wait until sshd greets."""
        end = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < end:
            try:
                with socket.create_connection((self.address, self.ssh_port), timeout=5) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"no sshd greets at {self.login()} in {BOOT_TIMEOUT} s")

    def wait_for_runs(self) -> None:
        """Wait until no run of hubwright is at work on the host."""
        self.run("touch /run/hubwright.lock; flock --timeout 120 /run/hubwright.lock true")

    def cut_power(self) -> None:
        """Switch the host off at once, then on again. Its disk stays."""
        docker("kill", self.container)
        docker("start", self.container)
        self.wait_until_up()


def hub_answers(url: str, timeout: float = 5) -> bool:
    """True if a hub answers at its URL for visitors, through the proxy."""
    try:
        with urllib.request.urlopen(f"{url}hub/health", timeout=timeout, context=ANY_CERTIFICATE):
            return True
    except OSError:
        return False


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """All that was added, removed or changed between two snapshots of "host", file by file."""
    found: dict[str, Any] = {part: (before[part], after[part]) for part in before.keys() - {"files"}}
    old, new = before["files"], after["files"]
    found |= {path: (old.get(path), new.get(path)) for path in sorted(old.keys() | new.keys())}
    changed = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
    return {name: pair for name, pair in changed.items() if not name.startswith(LEFT_BY_OTHERS)}


def host_image(operator: Operator) -> str:
    """The name of the image that the operator's hosts are made of."""
    return str(json.loads(operator.hubwright("config", "vm", "--json").out)["host_image"])


@contextmanager
def bare_host(
    operator: Operator,
    name: str,
    options: Sequence[str] = (),
    *,
    image: str = "",
    files: Mapping[str, bytes] | None = None,
    ssh_port: int = 0,
    network: str = "",
    own_state: bool = True,
) -> Iterator[Host]:
    """A host unknown to Vagrant, without a hub. Removed when the block ends.

    `image`: another one than the operator's own, see host_image. `files`: files on its disk when it boots.
    `own_state`: a volume of its own for /var/lib, unless `options` bring one.
    `network`: an internal one of Docker's, where it has an address of its own and reaches only this computer.
    """
    vagrantfile = (PROJECT / "Vagrantfile").read_text(encoding="utf-8")
    capabilities = re.search(r"CAPABILITIES = %w\[(.*?)\]", vagrantfile, re.DOTALL)
    assert capabilities
    host = Host(name, ssh_port or free_port(), free_port())
    public_key = operator.key.with_suffix(".pub").read_text().strip()
    argv = ["create", "--name", name, "--hostname", name]
    if network:
        argv += ["--network", network]
    else:
        argv += ["--publish", f"127.0.0.1:{host.ssh_port}:22", "--publish", f"127.0.0.1:{host.port}:443"]
    argv += [word for capability in capabilities[1].split() for word in ("--cap-add", capability)]
    argv += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    argv += ["--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rwm"]
    argv += ["--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/run/lock", *options]
    if own_state:
        argv += ["--volume", "/var/lib"]  # all of it: /var/lib/docker is not there before Docker is
    argv += ["--env", f"HUBWRIGHT_AUTHORIZED_KEY={public_key}", image or host_image(operator)]
    try:
        docker(*argv)
        copy = ["docker", "cp", "-", f"{name}:/"]
        subprocess.run(copy, input=_tar(files or {}), capture_output=True, check=True)
        docker("start", name)
        if network:
            place = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
            host = Host(name, 22, 443, docker("inspect", "--format", place, name).strip())
        host.wait_until_up()
        yield host
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
