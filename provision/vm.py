"""The machine that Vagrant raises. The only file that knows python-vagrant."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision.errors import HubwrightError
from provision.hosts import Target
from provision.images import PROJECT, ensure_host_image, host_image_tag
from provision.process import HERE, LAST_LINES, ProgramError, docker, run
from provision.report import Reporter
from provision.settings import Settings

USER = "vagrant"
MACHINE = "default"  # Vagrant's own name for the only machine of a Vagrantfile
LABEL = "hubwright.state"


@dataclass(frozen=True)
class Container:
    """What Docker says of a machine of the docker provider; ports are on 127.0.0.1 of this computer."""

    running: bool
    ssh_port: int | None
    forwarded: dict[int, int]  # port in the machine → port here


def vagrant_facts(settings: Settings) -> dict[str, Any]:
    """All that the Vagrantfile needs to know, ready for JSON."""
    return {
        "name": settings.vm.name,
        "provider": settings.vm.provider,
        "box": settings.vm.box,
        "cpus": settings.vm.cpus,
        "memory_mb": settings.vm.memory // 1024**2,
        "port": settings.vm.port,
        "hub_port": settings.hub.port,
        "host_image": host_image_tag(settings),
        "label": f"{LABEL}={settings.state}",
        "private_key": str(_key(settings)),
        "environment_file": str(_environment_file(settings)),
        "target_file": str(_target_file(settings)),
        "dotfile": str(dotfile(settings)),
    }


def dotfile(settings: Settings) -> Path:
    """Vagrant's own notes. Beside the Vagrantfile it is where plain `vagrant` looks for them."""
    return PROJECT / ".vagrant" if settings.root == PROJECT else settings.state / "vagrant"


def prepare(settings: Settings, reporter: Reporter, provider: str | None = None) -> None:
    """Everything that must be there before Vagrant starts the machine; quick when it is."""
    if status(settings) != "running":
        _refuse_taken_port(settings.vm.port)
    if (provider or _provider(settings)) != "docker":
        return
    if _container(settings) is None:
        _remove_orphans(settings)
        _refuse_taken_name(settings.vm.name)
        ensure_host_image(settings, reporter)
    _refuse_other_ports(settings)
    _make_key(settings)


def up(settings: Settings, reporter: Reporter, provider: str | None = None) -> None:
    """Raises the machine, or leaves it alone when it runs. It answers to SSH then; deploys nothing."""
    if status(settings) == "running":
        _refuse_other_ports(settings)
        _wait_for_ssh(settings)
        reporter.line(f"✓ the machine {settings.vm.name} runs")
        return
    provider = provider or _provider(settings)
    prepare(settings, reporter, provider)
    title = f"raise the machine {settings.vm.name} ({provider})"
    with reporter.step(title) as step, _vagrant(settings) as vagrant:
        for line in vagrant.up(provider=provider, stream_output=True):
            step.say(_plain(line))


def halt(settings: Settings, reporter: Reporter) -> None:
    """Stops the machine; what is on it stays."""
    if status(settings) != "running":
        reporter.line(f"✓ the machine {settings.vm.name} does not run")
        return
    with reporter.step(f"stop the machine {settings.vm.name}"), _vagrant(settings) as vagrant:
        vagrant.halt()
    forget(settings)


def destroy(settings: Settings, reporter: Reporter) -> None:
    """Removes the machine with all that is on it, its key and Vagrant's notes. Cached images stay."""
    with reporter.step(f"remove the machine {settings.vm.name}"):
        provider = _provider(settings)
        if _made_with(settings):
            with _vagrant(settings) as vagrant:
                vagrant.destroy()
        if provider == "docker":
            _remove_orphans(settings)
        forget(settings)
        for folder in (_key(settings).parent, dotfile(settings)):
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others keep files there too
            settings.state.rmdir()


def status(settings: Settings) -> str:
    """One of running, stopped and not created; or, where it is none of these, what Vagrant calls it."""
    provider = _made_with(settings)
    if provider is None:
        return "not created"
    if provider == "docker":
        container = _container(settings)
        return "not created" if container is None else "running" if container.running else "stopped"
    with _vagrant(settings) as vagrant:
        state = str(vagrant.status()[0].state)
    return {"not_created": "not created", "poweroff": "stopped", "shutoff": "stopped"}.get(state, state)


def target(settings: Settings) -> Target:
    """The running machine as a host to deploy on. This computer made it, so its key needs no second opinion.

    Docker is asked every time; Vagrant, which takes seconds, once after each start.
    """
    if _made_with(settings) == "docker":
        container = _container(settings)
        if container is None or not container.running or container.ssh_port is None:
            raise _not_running(settings)
        return Target("127.0.0.1", container.ssh_port, USER, _key(settings), vouched=True)
    remembered = _target_file(settings)
    if not remembered.exists():
        if status(settings) != "running":
            raise _not_running(settings)
        with _vagrant(settings) as vagrant:
            conf = vagrant.conf()
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.write_text(json.dumps(conf), encoding="utf-8")
    conf = json.loads(remembered.read_text(encoding="utf-8"))
    identity = Path(conf["IdentityFile"].strip('"'))
    return Target(conf["HostName"], int(conf["Port"]), conf["User"], identity, vouched=True)


def url(settings: Settings) -> str:
    """Where a browser on this computer finds the hub."""
    return f"{settings.tls.own_scheme}://127.0.0.1:{settings.vm.port}/"


def ssh_argv(settings: Settings, command: Sequence[str] = ()) -> list[str]:
    """The ssh command that logs in to the machine."""
    found = target(settings)
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    login = ["-i", str(found.identity), "-p", str(found.port), f"{found.user}@{found.host}"]
    return ["ssh", *options, *login, *command]


def forget(settings: Settings) -> None:
    """The next `target` asks again."""
    _target_file(settings).unlink(missing_ok=True)


def parse_container(text: str) -> Container:
    """The first of what `docker container inspect` printed."""
    found = json.loads(text)[0]
    bindings = found["HostConfig"].get("PortBindings") or {}
    forwarded = {
        int(port.partition("/")[0]): int(there[0]["HostPort"]) for port, there in bindings.items() if there
    }
    return Container(found["State"]["Running"], forwarded.pop(22, None), forwarded)


# --- inside -------------------------------------------------------------------------------------


def _key(settings: Settings) -> Path:
    return settings.state / "ssh" / "id"


def _environment_file(settings: Settings) -> Path:
    return settings.state / "ssh" / "environment"


def _target_file(settings: Settings) -> Path:
    return settings.state / "machine.json"


def _id_file(settings: Settings, provider: str) -> Path:
    return dotfile(settings) / "machines" / MACHINE / provider / "id"


def _made_with(settings: Settings) -> str | None:
    """The provider of the machine that exists according to Vagrant's notes."""
    notes = dotfile(settings) / "machines" / MACHINE
    return next((path.parent.name for path in sorted(notes.glob("*/id"))), None)


def _provider(settings: Settings) -> str:
    return _made_with(settings) or settings.vm.provider


def _container(settings: Settings) -> Container | None:
    notes = _id_file(settings, "docker")
    if not notes.exists():
        return None
    try:
        return parse_container(docker("container", "inspect", notes.read_text().strip()))
    except ProgramError as error:
        if "no such container" in error.output.lower():
            return None
        raise


def _make_key(settings: Settings) -> None:
    """A key of this machine's own, and the variable that brings its public half into the container."""
    key = _key(settings)
    if not key.exists():
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", settings.vm.name, "-f", str(key)])
    public = key.with_suffix(".pub").read_text().strip()
    _environment_file(settings).write_text(f"HUBWRIGHT_AUTHORIZED_KEY={public}\n")


def _remove_orphans(settings: Settings) -> None:
    """Containers of ours that Vagrant knows nothing of: it was killed while it made them."""
    for found in docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={settings.state}").split():
        docker("rm", "--force", "--volumes", found)


def _refuse_taken_name(name: str) -> None:
    if docker("ps", "--all", "--quiet", "--filter", f"name=^/{name}$").strip():
        raise HubwrightError(
            f"a container named {name} exists and is not ours",
            where=HERE,
            hint="choose another name: [vm] name, in site.toml",
        )


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise HubwrightError(
                f"port {port} of 127.0.0.1 cannot be had: {error.strerror}",
                where=HERE,
                hint=f"`ss -ltnp sport = :{port}` shows who has it; or choose another [vm] port in site.toml",
            ) from None


def _refuse_other_ports(settings: Settings) -> None:
    """Docker fixes a container's ports when it makes it."""
    container = _container(settings)
    if container is None or container.forwarded.get(settings.hub.port) == settings.vm.port:
        return
    made = ", ".join(f"{here} to {there}" for there, here in container.forwarded.items())
    raise HubwrightError(
        f"its ports are those of when it was made ({made}); the settings now say "
        f"{settings.vm.port} to {settings.hub.port}",
        where=f"the machine {settings.vm.name}",
        hint="set [vm] port and [hub] port back, or `hubwright destroy` and `hubwright up`",
    )


def _wait_for_ssh(settings: Settings, seconds: float = 60) -> None:
    """Returns when sshd greets: a machine that runs may still be booting."""
    found = target(settings)
    end = time.monotonic() + seconds
    while not _greets(found):
        if time.monotonic() > end:
            raise HubwrightError(
                f"SSH on {found.name} does not answer in {seconds:.0f} s",
                where=f"the machine {settings.vm.name}",
                hint="`vagrant reload` restarts it",
            )
        time.sleep(0.2)


def _greets(machine: Target) -> bool:
    try:
        with socket.create_connection((machine.host, machine.port or 22), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _not_running(settings: Settings) -> HubwrightError:
    return HubwrightError(
        f"is {status(settings)}", where=f"the machine {settings.vm.name}", hint="`hubwright up` starts it"
    )


def _plain(line: str) -> str:
    """A line of Vagrant's without the machine's name in front."""
    return line.rstrip().removeprefix("==>").strip().removeprefix(f"{MACHINE}:").strip()


@contextmanager
def _vagrant(settings: Settings) -> Iterator[Any]:
    """python-vagrant for this machine. What fails inside becomes a HubwrightError with Vagrant's words."""
    if shutil.which("vagrant") is None:  # python-vagrant would print a warning of its own
        raise HubwrightError("vagrant is not installed", where=HERE, hint="run `make setup`")
    from vagrant import Vagrant

    make: Callable[..., Any] = Vagrant

    with tempfile.TemporaryFile() as errors:
        environment = {
            **os.environ,
            "HUBWRIGHT_CONFIG": str(settings.root / settings.file),
            "HUBWRIGHT_DRIVER": "1",
            "VAGRANT_CWD": str(PROJECT),
            "VAGRANT_DOTFILE_PATH": str(dotfile(settings)),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_NO_COLOR": "1",
        }
        to_errors = functools.partial(nullcontext, errors)
        try:
            yield make(root=str(PROJECT), env=environment, out_cm=to_errors, err_cm=to_errors)
        except subprocess.CalledProcessError as error:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
            what = "\n".join([f"`vagrant {error.cmd[1]}` failed with exit code {error.returncode}", *said])
            raise HubwrightError(
                what, where=f"the machine {settings.vm.name}", hint="mend what Vagrant names and run it again"
            ) from None
