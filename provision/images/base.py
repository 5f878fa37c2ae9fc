"""A small system from the distribution's archive, and the base image that is made of one."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Iterable
from pathlib import Path

from provision.errors import SettingsError
from provision.report.reporter import Reporter
from provision.settings import Builder, Settings
from provision.settings.download_environment import proxy_variables
from provision.settings.image_names import IMAGES
from provision.tools.process import docker, run

BASE_PACKAGES = ("apt", "ca-certificates", "python3")
# A merged /usr for Debian without usrmerge and all of perl. Ubuntu's archive has it merged already.
MERGED = ("--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr", "--include=usr-is-merged")
SLIM = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")


def base_image_tag(settings: Settings) -> str:
    """The reference of the base image: the registry's, or the name of the one that `mmdebstrap` makes."""
    if settings.builder.base == "registry":
        return settings.builder.image
    return f"{IMAGES}/base:{digest(*bootstrap(settings.builder.content, BASE_PACKAGES, 'tar'))}"


def base_image(settings: Settings, reporter: Reporter) -> str:
    """Make the base image if it comes from no registry, and return its reference."""
    tag = base_image_tag(settings)
    if settings.builder.base == "archive" and not exists(tag):
        with (
            reporter.step(f"make a root file system of {settings.builder.suite}") as step,
            tempfile.TemporaryDirectory(prefix="hubwright-") as folder,
        ):
            archive = Path(folder) / "base.tar"
            command = bootstrap(settings.builder, BASE_PACKAGES, str(archive))
            run(command, on_line=step.say, env=proxy_variables(settings))
            docker("import", str(archive), tag)
    return tag


def archive_sources(builder: Builder) -> list[str]:
    """The lines of apt's sources for the archive from which this computer makes systems."""
    if not builder.apt or not builder.suite:
        raise SettingsError(
            'base = "archive" needs apt and suite',
            where="builder",
            hint="`hubwright init --force` finds both",
        )
    sources = [
        f"deb {builder.apt} {suite} {builder.components}"
        for suite in (builder.suite, f"{builder.suite}-updates")
    ]
    if builder.security:
        sources.append(f"deb {builder.security} {builder.suite}-security {builder.components}")
    return sources


def bootstrap(builder: Builder, packages: Iterable[str], target: str, *options: str) -> list[str]:
    """mmdebstrap's command for a small system with these packages, of the archive that the builder names."""
    return [
        "mmdebstrap",
        "--variant=minbase",
        *(() if builder.is_ubuntu else MERGED),
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={path}" for path in SLIM),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *([f"--keyring={builder.keyring}"] if builder.keyring else []),
        *options,
        builder.suite,
        target,
        *archive_sources(builder),
    ]


def exists(tag: str) -> bool:
    """True when Docker has an image of that name."""
    return bool(docker("image", "ls", "--quiet", tag).strip())


def digest(*parts: str | bytes) -> str:
    """Sixteen hexadecimal digits for the parts and this computer's kind of processor."""
    total = hashlib.sha256()
    for part in (platform.machine(), *parts):
        content = part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()[:16]
