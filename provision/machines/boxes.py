"""Boxes for libvirt that this computer makes itself when Vagrant's catalogue cannot be reached.

A box is packages of Debian's or Ubuntu's archive on a disk with one partition. It has a user `vagrant`, whose
key Vagrant replaces, and cloud-init, which does nothing until the machine gets a data source. It takes no
root and no loop device: mmdebstrap and mke2fs make the file system, and GRUB's core is before it.
"""

from __future__ import annotations

import json
import platform
import struct
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from provision.errors import HubwrightError, SettingsError
from provision.images import alone, bootstrap, cache_folder, digest, own_context
from provision.report.reporter import Reporter
from provision.settings import Builder, Settings
from provision.settings.download_environment import certificates, proxy_variables
from provision.tools.atomic import atomic
from provision.tools.digests import file_digest
from provision.tools.process import HERE, run
from provision.tools.project import PROJECT

ARCHIVE = "archive"  # [vm] box has this word for a box that is made here
FOLDER = PROJECT / "images" / "box"
GRUB = Path("/usr/lib/grub/i386-pc")
GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "linux", "test")
BOOT_CODE = 440  # bytes; the table of partitions follows
SECTOR = 512
START = 2048  # sectors before the partition, for GRUB's core
DISK = 3 * 1024**3  # bytes; the first start makes the partition as large as the disk then is
BOXES_KEPT = 2
TRUSTED = "usr/local/share/ca-certificates"
PACKAGES = (
    "apparmor",
    "ca-certificates",
    "cloud-init",
    "cloud-initramfs-growroot",
    "dbus",
    "e2fsprogs",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "libnss-myhostname",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
    "zstd",
)
# The kernel for virtual machines, and packages that cloud-init would install by itself.
DEBIAN = ("linux-image-cloud-amd64",)
UBUNTU = ("linux-image-virtual", "locales")
WITH_RESOLVED = {"jammy"}  # its systemd; later ones, and Debian's, have systemd-resolved as a package


def box_file(settings: Settings, extra: Sequence[str] = ()) -> Path:
    """The file of the box for these settings, which may not be made yet.

    `extra` packages are in it beside those that every box has.
    """
    command = _bootstrap(settings.builder.content, extra, Path("disk"), Path("mount"))
    return cache_folder() / f"box-{digest(*command, _files(settings))}.box"


def ensure_box(settings: Settings, reporter: Reporter, extra: Sequence[str] = ()) -> Path:
    """Make that box unless it exists, which takes minutes, and return its file."""
    if platform.machine() != "x86_64":
        raise HubwrightError(
            "boxes can be made for x86_64 only",
            where=HERE,
            hint="name a box with [vm] box, for example cloud-image/ubuntu-24.04",
        )
    found = box_file(settings, extra)
    if found.exists():
        return found
    with alone(reporter):
        if not found.exists():
            title = f"make a box of {settings.builder.suite}, once"
            with (
                reporter.step(title) as step,
                tempfile.TemporaryDirectory(prefix="hubwright-") as folder,
                atomic(found) as unfinished,
            ):
                _make(settings, extra, Path(folder), unfinished, step.say)
            _forget_old()
    return found


def ensure(settings: Settings, reporter: Reporter) -> None:
    """Make the box that the settings name, or check that its file exists. Vagrant has its catalogue."""
    if settings.vm.box == ARCHIVE:
        ensure_box(settings, reporter)
        return
    path = given_file(settings)
    if path and not path.is_file():
        raise SettingsError(
            "there is no such box",
            where=str(path),
            hint=f"[vm] box names a box of Vagrant's catalogue, a .box file, or {ARCHIVE}",
        )


def given_file(settings: Settings) -> Path | None:
    """The .box file that the settings name, or None where they name something else."""
    named = settings.vm.box
    return settings.path(Path(named).expanduser()) if named.endswith(".box") else None


def name_and_url(settings: Settings) -> tuple[str, str | None]:
    """Vagrant's name for the box, and its URL, which is None for a box of the catalogue.

    The name has a digest, so another file is another box.
    """
    made = settings.vm.box == ARCHIVE
    path = box_file(settings) if made else given_file(settings)
    if path is None:
        return settings.vm.box, None
    content = "" if made or not path.is_file() else f"-{file_digest(path, cache_folder())[:16]}"
    return f"hubwright-{path.stem}{content}", path.as_uri()


# --- inside -------------------------------------------------------------------------------------


def _files(settings: Settings) -> bytes:
    """The files of every box besides packages, with the CA certificates that an apply would install."""
    trusted = {f"{TRUSTED}/{name}.crt": pem.encode() for name, pem in certificates(settings).items()}
    return own_context(FOLDER / "root", trusted).tar()


def _packages(builder: Builder) -> tuple[str, ...]:
    resolved = () if builder.suite in WITH_RESOLVED else ("systemd-resolved",)
    return (*PACKAGES, *(UBUNTU if builder.is_ubuntu else DEBIAN), *resolved)


def _bootstrap(builder: Builder, extra: Sequence[str], disk: Path, mount: Path) -> list[str]:
    """The command that leaves the file system on `disk`. The hook's text is part of it."""
    script = (FOLDER / "customize").read_text(encoding="utf-8")
    offset = START * SECTOR
    given = f"DISK={disk} OFFSET={offset} SIZE={(DISK - offset) // 1024}k MOUNT={mount}"
    return bootstrap(
        builder,
        sorted({*_packages(builder), *extra}),
        "/dev/null",
        f"--customize-hook=tar-in {disk}.files /",
        f"--customize-hook={given}\n{script}",
    )


def _make(
    settings: Settings, extra: Sequence[str], folder: Path, target: Path, say: Callable[[str], None]
) -> None:
    disk, mount, core, image = (folder / name for name in ("disk", "mount", "core.img", "box.img"))
    mount.mkdir()
    with disk.open("wb") as file:
        file.truncate(DISK)
    for path, mode in ((folder, 0o755), (disk, 0o666)):
        path.chmod(mode)  # without root, the hook is another user
    Path(f"{disk}.files").write_bytes(_files(settings))
    run(_bootstrap(settings.builder, extra, disk, mount), on_line=say, env=proxy_variables(settings))
    grub = ["grub-mkimage", "--format=i386-pc", "--prefix=(hd0,msdos1)/boot/grub", f"--output={core}"]
    run([*grub, *GRUB_MODULES])
    with disk.open("r+b") as file:
        file.write(first_sectors((GRUB / "boot.img").read_bytes(), core.read_bytes()))
    say("compressing")
    run(["qemu-img", "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd", str(disk), str(image)])
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK // 1024**3}
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    with tarfile.open(target, "w") as box:
        for name in ("metadata.json", image.name):
            box.add(folder / name, name)


def first_sectors(boot: bytes, core: bytes) -> bytes:
    """The sectors that a BIOS starts: GRUB's boot code, a table with one partition, then GRUB's core.

    Unless told otherwise, `boot` looks for `core` in the second sector, and `core` for its own rest in the
    third: nothing needs to be installed, see boot.S and diskboot.S of GRUB.
    """
    if len(core) > (START - 1) * SECTOR:
        raise HubwrightError("GRUB's core is larger than the space before the partition", where=HERE)
    linux, beyond = 0x83, b"\xfe\xff\xff"  # addresses of cylinders have no meaning on present-day disks
    rest = DISK // SECTOR - START
    partition = struct.pack("<B3sB3sII", 0x80, beyond, linux, beyond, START, rest)
    table = boot[:BOOT_CODE].ljust(BOOT_CODE + 6, b"\0") + partition
    return table.ljust(SECTOR - 2, b"\0") + b"\x55\xaa" + core


def _forget_old() -> None:
    made = sorted(cache_folder().glob("box-*.box"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in made[BOXES_KEPT:]:
        old.unlink()
