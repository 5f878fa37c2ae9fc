"""What a virtual machine asks of this computer, before Vagrant is let loose on it."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from provision.errors import HubwrightError
from provision.machines import hypervisors
from provision.machines.kvm import try_kvm
from provision.machines.paths import MACHINE
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.tools.process import HERE, ProgramError

GIB = 1024**3
MEMINFO = Path("/proc/meminfo")
POOL = "default"
POOL_FOLDER = Path("/var/lib/libvirt/images")  # where vagrant-libvirt makes that pool, if nobody has yet
SHORT = 120  # seconds; an emulated machine has started one server in 37 s, and with others beside it in more


def refuse_missing_kvm(settings: Settings, reporter: Reporter) -> None:
    """Tells what an emulated machine is like; for another one, raises HubwrightError unless KVM works."""
    if settings.vm.accelerator == "emulation":
        reporter.line("  it is emulated, without KVM: its programs run many times slower")
        if settings.server.start_timeout < SHORT:
            reporter.line(
                f"  [server] start_timeout is {settings.server.start_timeout} s, which is short for that: "
                'several visitors at once may need "3m"'
            )
        return
    try:
        try_kvm()
    except HubwrightError as error:
        raise HubwrightError(
            f"KVM runs no guests: {hypervisors.last_words(error)}",
            where=HERE,
            hint='`accelerator = "emulation"` under [vm] in site.toml goes without, many times slower; '
            "`hubwright init --force` finds that out by itself",
        ) from None


def refuse_too_large(settings: Settings, provider: str) -> None:
    """Raises HubwrightError when this computer has not the memory or the room on its disk."""
    vm = settings.vm
    memory = parse_available(MEMINFO.read_text(encoding="utf-8")) if MEMINFO.exists() else None
    if memory is not None and memory < vm.memory:
        raise HubwrightError(
            f"not enough memory: it asks for {vm.memory / GIB:.1f} GiB, and {memory / GIB:.1f} GiB are free",
            where=f"the machine {vm.name}",
            hint="lower [vm] memory in site.toml, or end something else",
        )
    folder = _pool_folder() if provider == "libvirt" else Path.home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < vm.disk:
        raise HubwrightError(
            f"not enough room: it asks for a disk of {vm.disk / GIB:.1f} GiB, and at {folder} "
            f"{free / GIB:.1f} GiB are free",
            where=f"the machine {vm.name}",
            hint="lower [vm] disk in site.toml, or remove something, for example boxes: `vagrant box list`",
        )


def parse_available(meminfo: str) -> int | None:
    """Bytes that can be had without swapping, of /proc/meminfo."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def domain(settings: Settings) -> str:
    """What libvirt calls the machine."""
    return f"{prefix(settings)}{MACHINE}"


def prefix(settings: Settings) -> str:
    return f"{settings.vm.name}-"


def description(settings: Settings) -> str:
    """By which a machine of ours is known to libvirt."""
    return f"hubwright.state={settings.state}"


def remove_orphans(settings: Settings) -> None:
    """What of ours Vagrant knows nothing of: it was killed while it made it. Refuses somebody else's."""
    name = domain(settings)
    if name in hypervisors.virsh("list", "--all", "--name").split():
        if hypervisors.virsh("desc", name).strip() != description(settings):
            raise HubwrightError(
                f"a machine named {name} exists in libvirt and is not ours",
                where=HERE,
                hint="choose another name: [vm] name, in site.toml",
            )
        with contextlib.suppress(ProgramError):  # it does not run
            hypervisors.virsh("destroy", name)
        hypervisors.virsh("undefine", name, "--managed-save", "--snapshots-metadata")
    if POOL in hypervisors.virsh("pool-list", "--name").split():
        hypervisors.virsh("pool-refresh", POOL)
        volumes = hypervisors.virsh("vol-list", POOL).splitlines()
        if f"{name}.img" in {line.split()[0] for line in volumes if line.strip()}:
            hypervisors.virsh("vol-delete", f"{name}.img", "--pool", POOL)


def _pool_folder() -> Path:
    try:
        found = re.search(r"<path>(.+)</path>", hypervisors.virsh("pool-dumpxml", POOL))
    except HubwrightError:
        return POOL_FOLDER
    return Path(found[1]) if found else POOL_FOLDER
