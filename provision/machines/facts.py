"""What the Vagrantfile is told."""

from __future__ import annotations

from typing import Any

from provision.images import host_image_tag
from provision.machines import boxes, forward, virtual
from provision.machines.container import LABEL
from provision.machines.paths import console_file, dotfile, environment_file, key, target_file
from provision.settings import Settings

# An emulated processor has what programs of today are built for (x86-64-v2), and AES. It is no Intel: Linux
# guards those of that age from Meltdown with tables of pages that change at every call of the kernel, and at
# each change QEMU forgets what it has translated. The features have libvirt's names; QEMU knows them, too.
EMULATED_CPU = "qemu64"
EMULATED_FEATURES = ("ssse3", "sse4.1", "sse4.2", "popcnt", "lahf_lm", "aes", "pclmuldq")


def vagrant_facts(settings: Settings) -> dict[str, Any]:
    """All that the Vagrantfile needs to know, ready for JSON."""
    vm = settings.vm
    box, box_url = boxes.name_and_url(settings)
    return {
        "name": vm.name,
        "provider": vm.provider,
        "kvm": vm.accelerator == "kvm",
        "emulated_cpu": EMULATED_CPU,
        "emulated_features": list(EMULATED_FEATURES),
        "box": box,
        "box_url": box_url,
        "cpus": vm.cpus,
        "memory_mb": vm.memory // 1024**2,
        "disk_gb": -(-vm.disk // 1024**3),
        "boot_timeout": vm.boot_timeout,
        "forwards": [list(pair) for pair in forward.ports(settings)],
        "prefix": virtual.prefix(settings),
        "description": virtual.description(settings),
        "console_file": str(console_file(settings)),
        "host_image": host_image_tag(settings),
        "label": f"{LABEL}={settings.state}",
        "private_key": str(key(settings)),
        "environment_file": str(environment_file(settings)),
        "target_file": str(target_file(settings)),
        "dotfile": str(dotfile(settings)),
    }
