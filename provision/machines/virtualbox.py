"""Virtual machines of VirtualBox, which forwards ports and sets clocks by itself."""

from __future__ import annotations

from pathlib import Path

from provision.errors import HubwrightError
from provision.machines.machine import ANSWER_TIMEOUT
from provision.machines.virtual import VirtualMachine
from provision.tools.process import run


class VirtualBoxMachine(VirtualMachine):
    provider = "virtualbox"
    title = "VirtualBox"
    how_to_get = "VirtualBox comes from https://www.virtualbox.org"

    @classmethod
    def answers(cls) -> str:
        run(["VBoxManage", "list", "hostinfo"], timeout=ANSWER_TIMEOUT)
        if not Path("/dev/vboxdrv").exists():
            raise HubwrightError("VirtualBox is installed, but its kernel module is not loaded")
        return "VirtualBox answers"
