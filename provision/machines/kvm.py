"""A test that KVM runs guests. /dev/kvm may exist while every guest hangs as soon as it leaves real mode."""

from __future__ import annotations

import platform
import tempfile

from provision.errors import HubwrightError
from provision.tools.process import ProgramError, run

GUEST_TIMEOUT = 10.0  # seconds; a guest that runs at all needs a fraction of one
REACHED_THE_END = 33  # isa-debug-exit: twice the value that the guest wrote, and 1

# A BIOS of 64 KiB that enters protected mode and then ends qemu. It begins at 0xf0000; the processor starts
# 16 bytes before its end.
_CODE = (
    b"\x2e\x66\x0f\x01\x16\x28\x00"  # lgdt cs:[0x28]
    b"\xb0\x11\x0f\x01\xf0"  #         mov al, 17; lmsw ax      protected mode
    b"\x66\xea\x14\x00\x0f\x00\x08\x00"  # jmp 8:0xf0014
    b"\xb0\x10\xe6\xf4"  #             mov al, 16; out 0xf4, al
)
_SEGMENTS = bytes(8) + b"\xff\xff\x00\x00\x00\x9a\xcf\x00"  # none, and code: 4 GiB from address 0
_TABLE = b"\x0f\x00" + (0xF0018).to_bytes(4, "little")  # their length less 1, and where they are
BIOS = (_CODE + _SEGMENTS + _TABLE).ljust(65520, b"\x00") + b"\xe9\x0d\x00".ljust(
    16, b"\x00"
)  # jmp to the start


def try_kvm() -> str:
    """Run a guest with KVM. Returns a few words about it; raises HubwrightError when it does not run."""
    if platform.machine() != "x86_64":
        raise HubwrightError("whether KVM runs guests can be tried on x86_64 only")
    with tempfile.NamedTemporaryFile(suffix=".bin") as bios:
        bios.write(BIOS)
        bios.flush()
        machine = ["-accel", "kvm", "-nodefaults", "-display", "none", "-m", "16", "-bios", bios.name]
        end = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
        try:
            run(["qemu-system-x86_64", *machine, *end], timeout=GUEST_TIMEOUT)
        except ProgramError as error:
            if error.exit_code == REACHED_THE_END:
                return "KVM runs a guest"
            if error.exit_code is None:
                raise HubwrightError("/dev/kvm is there, but a guest hangs") from None
            raise
    raise HubwrightError("KVM's guest ended without running its code")
