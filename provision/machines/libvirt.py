"""Virtual machines of libvirt, with KVM or emulated by QEMU alone."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provision.errors import HubwrightError
from provision.machines.forward import Forwarding
from provision.machines.kvm import try_kvm
from provision.machines.machine import ANSWER_TIMEOUT, Machine, last_words
from provision.machines.paths import MACHINE
from provision.machines.virsh import virsh
from provision.machines.virtual import VirtualMachine
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target, command
from provision.tools.process import HERE, ProgramError, run
from provision.tools.project import SETUP

PACKAGES = "libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils vagrant-libvirt"

POOL = "default"
POOL_FOLDER = Path("/var/lib/libvirt/images")  # of that pool when vagrant-libvirt creates it
SHORT_START_TIMEOUT = (
    120  # seconds; an emulated machine has started one server in 37 s, and with others beside it in more
)
ACCELERATOR_NAMES = {"kvm": "KVM", "emulation": "emulated"}
# The emulated processor has the features that present-day programs need (x86-64-v2), and AES. It is no Intel:
# Linux protects old ones from Meltdown by changing page tables at every system call, and at each change QEMU
# forgets its translated code. The features have libvirt's names; QEMU knows them, too.
EMULATED_CPU = "qemu64"
EMULATED_FEATURES = ("ssse3", "sse4.1", "sse4.2", "popcnt", "lahf_lm", "aes", "pclmuldq")
# A machine wakes with the time at which it was suspended; its hardware clock shows this computer's time. That
# one counts seconds, so the clock is set at the moment when the second changes.
SET_CLOCK = """
    clock=/sys/class/rtc/rtc0/since_epoch
    [ -r $clock ] || exit 0
    seen=$(cat $clock)
    off=$(($(date +%s) - seen))
    [ $off -gt 2 ] || [ $off -lt -2 ] || exit 0
    while [ "$(cat $clock)" = "$seen" ]; do :; done
    date --set=@$(cat $clock)
"""


class LibvirtMachine(VirtualMachine):
    provider = "libvirt"
    title = "libvirt"
    how_to_get = (
        f"{'`provision/setup.sh --vm`' if SETUP else f'`sudo apt-get install {PACKAGES}`'} "
        "installs libvirt and QEMU"
    )
    becomes = (".box", ".qcow2")
    makes_boxes = True
    needs_kvm = True

    def __init__(self, settings: Settings, others: Sequence[type[Machine]] = ()) -> None:
        super().__init__(settings, others)
        # libvirt's provider forwards ports through one SSH connection, which a restart ends for good.
        self.forwarding = Forwarding(self.ports, self.paths.relay_lock, self.paths.target)
        self._prefix = f"{self.name}-"
        self.domain = f"{self._prefix}{MACHINE}"
        """libvirt's name for the machine."""
        self.description = f"hubwright.state={self.paths.state}"
        """The mark of our machines in libvirt."""

    @classmethod
    def answers(cls) -> str:
        run(["qemu-system-x86_64", "--version"], timeout=ANSWER_TIMEOUT)
        virsh("list")
        return "libvirt answers"

    @classmethod
    def is_ready(cls) -> str:
        answer = cls.answers()
        if "vagrant-libvirt" not in run(["vagrant", "plugin", "list"], timeout=60):
            raise HubwrightError("Vagrant has no plugin vagrant-libvirt", hint=cls.how_to_get)
        return answer

    @property
    def kind(self) -> str:
        return f"{self.provider}, {ACCELERATOR_NAMES[self.settings.vm.accelerator]}"

    def facts(self) -> dict[str, Any]:
        return {
            **super().facts(),
            "kvm": self.settings.vm.accelerator == "kvm",
            "emulated_cpu": EMULATED_CPU,
            "emulated_features": list(EMULATED_FEATURES),
            "prefix": self._prefix,
            "description": self.description,
        }

    def forget(self) -> None:
        super().forget()
        self.forwarding.wait_for_end()

    def power_off(self) -> None:
        """Press its power button: Vagrant would log in, which a generalized machine refuses."""
        virsh("shutdown", self.domain)
        seconds = self.settings.vm.boot_timeout
        end = time.monotonic() + seconds
        while virsh("domstate", self.domain).strip() != "shut off":
            if time.monotonic() > end:
                raise HubwrightError(
                    f"is still on {seconds} s after its power button was pressed",
                    where=self.where,
                    hint="`virsh console` shows what it is at; [vm] boot_timeout gives it more time",
                )
            time.sleep(0.5)
        self.forget()

    def disk(self) -> Path:
        return parse_disk(virsh("domblklist", "--details", self.domain))

    def _started(self, found: Target) -> None:
        self._resume_ports()
        command(found, Access(), SET_CLOCK)

    def _resume_ports(self) -> None:
        if not self.forwarding.runs():
            self.forwarding.start()

    def _check_computer(self, reporter: Reporter) -> None:
        """Warn that an emulated machine is slow; for others, raise HubwrightError unless KVM works."""
        if self.settings.vm.accelerator == "emulation":
            reporter.line("  it is emulated, without KVM: its programs run many times slower")
            if self.settings.server.start_timeout < SHORT_START_TIMEOUT:
                reporter.line(
                    f"  [server] start_timeout is {self.settings.server.start_timeout} s, which is short for "
                    'that: several visitors at once may need "3m"'
                )
            return
        try:
            try_kvm()
        except HubwrightError as error:
            raise HubwrightError(
                f"KVM runs no guests: {last_words(error)}",
                where=HERE,
                hint='`accelerator = "emulation"` under [vm] in site.toml works without KVM, but slowly; '
                "`hubwright init --force` writes that by itself",
            ) from None

    def _remove_orphans(self) -> None:
        """Remove our remains that Vagrant does not know; refuse a machine of that name that is not ours."""
        if self.domain in virsh("list", "--all", "--name").split():
            if virsh("desc", self.domain).strip() != self.description:
                raise HubwrightError(
                    f"a machine named {self.domain} exists in libvirt "
                    "and belongs to another folder or program",
                    where=HERE,
                    hint="choose another name: [vm] name, in site.toml",
                )
            with contextlib.suppress(ProgramError):  # it does not run
                virsh("destroy", self.domain)
            virsh("undefine", self.domain, "--managed-save", "--snapshots-metadata")
        if POOL in virsh("pool-list", "--name").split():
            virsh("pool-refresh", POOL)
            volumes = virsh("vol-list", POOL).splitlines()
            if f"{self.domain}.img" in {line.split()[0] for line in volumes if line.strip()}:
                virsh("vol-delete", f"{self.domain}.img", "--pool", POOL)

    def _disk_folder(self) -> Path:
        try:
            found = re.search(r"<path>(.+)</path>", virsh("pool-dumpxml", POOL))
        except HubwrightError:
            return POOL_FOLDER
        return Path(found[1]) if found else POOL_FOLDER


def parse_disk(text: str) -> Path:
    """The first disk in the output of `virsh domblklist --details`: type, device, target, source."""
    rows = (line.split(maxsplit=3) for line in text.splitlines())
    for row in rows:
        if len(row) == 4 and row[:2] == ["file", "disk"]:
            return Path(row[3].strip())
    raise HubwrightError("the machine has no disk in a file", hint="`virsh domblklist` shows its disks")
