"""libvirt's own program, for facts that Vagrant does not give."""

from __future__ import annotations

from provision.errors import HubwrightError
from provision.tools.process import HERE, ProgramError, run

LIBVIRT = "qemu:///system"
ANSWER_TIMEOUT = 20.0  # seconds


def virsh(*arguments: str) -> str:
    """The answer of libvirt. Errors about the usual obstacles have a hint."""
    try:
        return run(["virsh", "--connect", LIBVIRT, "--quiet", *arguments], timeout=ANSWER_TIMEOUT)
    except ProgramError as error:
        raise _explain(error.output) or error from None


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
