"""The machine that Vagrant raises."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from provision.errors import HubwrightError, SettingsError
from provision.images import ensure_host_image
from provision.machines import boxes, console, container, forward, hypervisors, virtual
from provision.machines.driver import plain, vagrant
from provision.machines.facts import vagrant_facts
from provision.machines.paths import USER, console_file, dotfile, key, made_with, target_file
from provision.machines.paths import provider as provider_of
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target, command
from provision.tools.atomic import atomic
from provision.tools.process import HERE

__all__ = [
    "after_start",
    "destroy",
    "dotfile",
    "forget",
    "halt",
    "prepare",
    "ssh_argv",
    "status",
    "target",
    "up",
    "url",
    "vagrant_facts",
]

ACCESS = ("HostName", "Port", "User", "IdentityFile")
GIVES_UP = "Attempting graceful shutdown"  # Vagrant's words when a machine that it starts does not answer
STATES = {
    "not_created": "not created",
    "poweroff": "stopped",
    "shutoff": "stopped",
    "saved": "suspended",
    "inaccessible": "running",  # libvirt's, when its address is not known at this moment
}


def prepare(settings: Settings, reporter: Reporter, provider: str | None = None) -> None:
    """Everything that must be there before Vagrant starts the machine; quick when it is."""
    _refuse_other_provider(settings, provider)
    provider = provider or provider_of(settings)
    hypervisors.require(provider)
    now = status(settings)
    if now != "running":
        forget(settings)
        forward.wait_for_end(settings)
        for here, _ in forward.ports(settings):
            _refuse_taken_port(here)
    if provider == "docker":
        if container.find(settings) is None:
            container.remove_orphans(settings)
            container.refuse_taken_name(settings.vm.name)
            ensure_host_image(settings, reporter)
        container.refuse_other_ports(settings)
        container.make_key(settings)
    elif now != "running":
        if provider == "libvirt":
            virtual.refuse_missing_kvm(settings, reporter)
        if now == "not created":
            virtual.refuse_too_large(settings, provider)
            if provider == "libvirt":
                virtual.remove_orphans(settings)
            boxes.ensure(settings, provider, reporter)
        console.clear(settings)


def up(settings: Settings, reporter: Reporter, provider: str | None = None) -> None:
    """Raises the machine, or leaves it alone when it runs. It answers to SSH then; deploys nothing."""
    if status(settings) == "running":
        _refuse_other_provider(settings, provider)
        if made_with(settings) == "docker":
            container.refuse_other_ports(settings)
        _wait_for_ssh(settings)
        if made_with(settings) == "libvirt" and not forward.runs(settings):
            forward.start(settings)
        reporter.line(f"✓ the machine {settings.vm.name} runs")
        return
    prepare(settings, reporter, provider)
    provider = provider or provider_of(settings)
    kind = f"libvirt, {hypervisors.WORDS[settings.vm.accelerator]}" if provider == "libvirt" else provider
    with reporter.step(f"raise the machine {settings.vm.name} ({kind})") as step, vagrant(settings) as it:
        for line in it.up(provider=provider, stream_output=True):
            if GIVES_UP in line:
                console.close(settings)
            step.say(plain(line))
    forget(settings)
    after_start(settings)


def after_start(settings: Settings, access: Mapping[str, str] | None = None) -> None:
    """After a virtual machine has started or woken: its clock is right, and ports from here lead to it.

    `access`: how to log in, in ssh_config's words. Without it Vagrant is asked, which refuses to answer while
    it starts the machine itself, once in a while.
    """
    provider = made_with(settings)
    if provider == "docker":
        return
    found = _remember(settings, access) if access else _ask_for_target(settings)
    if provider == "libvirt":
        if not forward.runs(settings):
            forward.start(settings)
        command(found, Access(), SET_CLOCK)


def halt(settings: Settings, reporter: Reporter) -> None:
    """Stops the machine; what is on it stays."""
    if status(settings) != "running":
        reporter.line(f"✓ the machine {settings.vm.name} does not run")
        return
    with reporter.step(f"stop the machine {settings.vm.name}"), vagrant(settings) as it:
        it.halt()
    forget(settings)


def destroy(settings: Settings, reporter: Reporter) -> None:
    """Removes the machine with all that is on it, its key and Vagrant's notes. Cached images stay."""
    with reporter.step(f"remove the machine {settings.vm.name}"):
        provider = provider_of(settings)
        if made_with(settings):
            with vagrant(settings) as it:
                it.destroy()
        if provider == "docker":
            container.remove_orphans(settings)
        elif provider == "libvirt":
            virtual.remove_orphans(settings)
        forget(settings)
        forward.wait_for_end(settings)
        for folder in (key(settings).parent, console_file(settings).parent, dotfile(settings)):
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others keep files there too
            settings.state.rmdir()


def status(settings: Settings) -> str:
    """One of running, stopped, suspended and not created; where it is none of these, Vagrant's own word."""
    provider = made_with(settings)
    if provider is None:
        return "not created"
    if provider == "docker":
        found = container.find(settings)
        return "not created" if found is None else "running" if found.running else "stopped"
    with vagrant(settings) as it:
        state = str(it.status()[0].state)
    return STATES.get(state, state)


def target(settings: Settings) -> Target:
    """The running machine as a host to deploy on. This computer made it, so its key needs no second opinion.

    Docker is asked every time; Vagrant, which takes seconds, once after each start.
    """
    if made_with(settings) == "docker":
        found = container.find(settings)
        if found is None or not found.running or found.ssh_port is None:
            raise _not_running(settings)
        return Target("127.0.0.1", found.ssh_port, USER, key(settings), made_here=True)
    remembered = target_file(settings)
    if not remembered.exists():
        if status(settings) != "running":
            raise _not_running(settings)
        return _ask_for_target(settings)
    return _parse_target(remembered.read_text(encoding="utf-8"))


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
    target_file(settings).unlink(missing_ok=True)


# --- inside -------------------------------------------------------------------------------------


def _ask_for_target(settings: Settings) -> Target:
    with vagrant(settings) as it:
        return _remember(settings, it.conf())


def _remember(settings: Settings, access: Mapping[str, str]) -> Target:
    """Another address than before ends the relay that led there."""
    text = json.dumps({key: str(access[key]).strip('"') for key in ACCESS})
    file = target_file(settings)
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        forget(settings)
        forward.wait_for_end(settings)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic(file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    return _parse_target(text)


def _parse_target(text: str) -> Target:
    conf = json.loads(text)
    return Target(
        conf["HostName"], int(conf["Port"]), conf["User"], Path(conf["IdentityFile"]), made_here=True
    )


# A machine that slept wakes with the time of when it fell asleep; its hardware clock shows this computer's.
# That one counts whole seconds: the moment when it turns is the right one.
SET_CLOCK = """
    clock=/sys/class/rtc/rtc0/since_epoch
    [ -r $clock ] || exit 0
    seen=$(cat $clock)
    off=$(($(date +%s) - seen))
    [ $off -gt 2 ] || [ $off -lt -2 ] || exit 0
    while [ "$(cat $clock)" = "$seen" ]; do :; done
    date --set=@$(cat $clock)
"""


def _refuse_other_provider(settings: Settings, provider: str | None) -> None:
    made = made_with(settings)
    if provider and made and provider != made:
        raise SettingsError(
            f"it was made with {made}, not with {provider}",
            where=f"the machine {settings.vm.name}",
            hint="`hubwright destroy` removes it; another hub.toml, with its own [vm] name, gets its own",
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
