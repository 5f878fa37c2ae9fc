"""Which of Vagrant's providers can be used here, found out by asking; and how to get one that cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provision.errors import HubwrightError, SettingsError
from provision.tools.process import HERE, ProgramError, docker, run

LIBVIRT = "qemu:///system"
PATIENCE = 20.0  # seconds
WORDS = {"kvm": "KVM", "emulation": "emulated"}
GET = {
    "docker": "`make setup` installs and starts Docker",
    "libvirt": "`provision/setup.sh --vm` installs libvirt and QEMU",
    "virtualbox": "VirtualBox comes from https://www.virtualbox.org",
}


def docker_answers() -> str:
    """Says so, or raises HubwrightError; so do the others."""
    return f"Docker {docker('info', '--format', '{{.ServerVersion}}', timeout=PATIENCE).strip()} answers"


def libvirt_answers() -> str:
    run(["qemu-system-x86_64", "--version"], timeout=PATIENCE)
    virsh("list")
    return "libvirt answers"


def virtualbox_answers() -> str:
    run(["VBoxManage", "list", "hostinfo"], timeout=PATIENCE)
    if not Path("/dev/vboxdrv").exists():
        raise HubwrightError("VirtualBox is installed, but its kernel module is not loaded")
    return "VirtualBox answers"


ANSWERS: dict[str, Callable[[], str]] = {
    "docker": docker_answers,
    "libvirt": libvirt_answers,
    "virtualbox": virtualbox_answers,
}


def require(provider: str) -> None:
    """Raises HubwrightError with what would work here, unless the provider answers."""
    if provider not in ANSWERS:
        raise SettingsError(
            f"no machine can be raised with {provider}", hint=f"the providers are {', '.join(ANSWERS)}"
        )
    try:
        ANSWERS[provider]()
    except HubwrightError as error:
        others = [name for name in ANSWERS if name != provider and _works(name)]
        what = f"no machine can be raised with {provider}: {last_words(error)}"
        if others:
            instead = f"here {' and '.join(others)} would work: `hubwright up --provider {others[0]}`"
        else:
            instead = (
                "no other provider works here; an existing host needs none: `hubwright apply -H user@host`"
            )
        get = GET[provider] if "not installed" in error.what else error.hint
        raise HubwrightError(what, where=HERE, hint="; ".join(filter(None, (get, instead)))) from None


def virsh(*arguments: str) -> str:
    """What libvirt answers. The usual obstacles are told with their remedy."""
    try:
        return run(["virsh", "--connect", LIBVIRT, "--quiet", *arguments], timeout=PATIENCE)
    except ProgramError as error:
        raise _explain(error.output) or error from None


def last_words(error: HubwrightError) -> str:
    return error.what.splitlines()[-1].removeprefix("Error response from daemon: ")


def _works(provider: str) -> bool:
    try:
        ANSWERS[provider]()
    except HubwrightError:
        return False
    return True


def _explain(output: str) -> HubwrightError | None:
    if "Permission denied" in output or "authentication unavailable" in output:
        return HubwrightError(
            "this user may not use libvirt",
            where=HERE,
            hint="`sudo usermod -aG libvirt $USER`, then log in again",
        )
    if "Failed to connect socket" in output:
        return HubwrightError(
            "libvirt does not answer",
            where=HERE,
            hint="`systemctl start libvirtd`; without systemd, as root, `virtlogd -d; tini -s libvirtd &`",
        )
    return None
