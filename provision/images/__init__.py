"""The images that this machine makes: the base, the host of Vagrant's docker provider, and what hosts run.

Every image is named by the digest of all that goes into it, so one that exists is never made twice, and
two folders of settings share what they have in common.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import platform
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provision.errors import SettingsError
from provision.report.reporter import Reporter
from provision.settings import Builder, Settings
from provision.settings.downloads import proxy_variables
from provision.settings.image_names import GRAPHITE, IMAGES, NOTEBOOK
from provision.tools.atomic import atomic
from provision.tools.digests import file_digest
from provision.tools.process import docker, run
from provision.tools.project import PROJECT

HOST_FOLDER = PROJECT / "images" / "machine"
APT_MIRRORS = PROJECT / "images" / "apt-mirrors.sh"
GRAPHITE_FOLDER = PROJECT / "images" / "graphite"
BASE_PACKAGES = ("apt", "ca-certificates", "python3")
# Debian's way to one /usr, without usrmerge and all of perl. Ubuntu's archive has it merged already.
MERGED = ("--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr", "--include=usr-is-merged")
ARCHIVES_KEPT = 3
SLIM = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")


@dataclass(frozen=True)
class Recipe:
    """An image that hosts run, built from a folder with a Dockerfile that takes BASE."""

    name: str
    folder: Path
    arguments: Mapping[str, str] = field(default_factory=dict)


def notebook(settings: Settings) -> Recipe:
    """What `[image] build` stands for."""
    if settings.image.build is None:
        raise SettingsError("there is nothing to build", where="image", hint="set [image] build to a folder")
    folder = settings.path(settings.image.build)
    if not (folder / "Dockerfile").is_file():
        raise SettingsError(
            "has no Dockerfile", where=str(folder), hint="[image] build names the folder that has it"
        )
    return Recipe(NOTEBOOK, folder, _given(APT=_archives(settings), PYPI=settings.downloads.pypi))


def graphite(settings: Settings) -> Recipe:
    """StatsD and Graphite, for hubs that name no image of it."""
    downloads = settings.downloads
    given = _given(APT=_archives(settings), PYPI=downloads.pypi, NPM=downloads.npm)
    return Recipe(GRAPHITE, GRAPHITE_FOLDER, given)


def cache_folder() -> Path:
    """Where image archives of every project on this machine are kept; `make clean` empties it."""
    given = os.environ.get("HUBWRIGHT_CACHE")
    if given:
        return Path(given).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "hubwright"


# --- what an image is called: pure, apart from reading its folder -------------------------------


def base_image_tag(settings: Settings) -> str:
    """The reference of the base image: the registry's, or the name of what `mmdebstrap` makes."""
    if settings.builder.base == "registry":
        return settings.builder.image
    return f"{IMAGES}/base:{digest(*bootstrap(settings.builder.content, BASE_PACKAGES, 'tar'))}"


def baked(settings: Settings) -> Path | None:
    """The archive of a whole hub's image, where `[vm] box` names one."""
    box = settings.vm.box
    return settings.path(Path(box).expanduser()) if box.endswith(".tar") else None


def host_image_tag(settings: Settings) -> str:
    """The name of the image that Vagrant's docker provider starts."""
    archive = baked(settings)
    if archive is not None and archive.is_file():
        return f"{IMAGES}/baked:{file_digest(archive, cache_folder())[:16]}"
    return f"{IMAGES}/host:{digest(base_image_tag(settings), *_host_parts(settings))}"


def recipe_tag(settings: Settings, recipe: Recipe) -> str:
    """The name of the image that a recipe makes."""
    arguments = recipe.arguments.values()
    content = recipe_context(settings, recipe)
    return f"{IMAGES}/{recipe.name}:{digest(base_image_tag(settings), *arguments, content)}"


def recipe_context(settings: Settings, recipe: Recipe) -> bytes:
    """The build context of an image that hosts run: its folder, and certificates to trust."""
    return context(recipe.folder, {**_certificates(settings), **_apt_mirrors(settings)})


def context(folder: Path, extra: Mapping[str, bytes] | None = None) -> bytes:
    """A folder, and files beside it, as a tar that is the same for the same content: a build context."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted({*files, *(extra or {})}):
            path = files.get(name)
            content = path.read_bytes() if path else (extra or {})[name]
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if path and os.access(path, os.X_OK) else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


# --- making them --------------------------------------------------------------------------------


def base_image(settings: Settings, reporter: Reporter) -> str:
    """Makes the base image where no registry has one, and returns its reference."""
    tag = base_image_tag(settings)
    if settings.builder.base == "archive" and not _exists(tag):
        with (
            reporter.step(f"make a root file system of {settings.builder.suite}") as step,
            tempfile.TemporaryDirectory(prefix="hubwright-") as folder,
        ):
            archive = Path(folder) / "base.tar"
            command = bootstrap(settings.builder, BASE_PACKAGES, str(archive))
            run(command, on_line=step.say, env=proxy_variables(settings))
            docker("import", str(archive), tag)
    return tag


def ensure_host_image(settings: Settings, reporter: Reporter) -> str:
    """The name of the host image, which exists afterwards."""
    tag, archive = host_image_tag(settings), baked(settings)
    if archive is not None and not archive.is_file():
        raise SettingsError(
            "there is no such file", where=f"vm.box: {archive}", hint="`hubwright bake FILE` writes it"
        )
    with alone(reporter):
        if archive is None:
            apt, content = _host_parts(settings)
            _ensure(tag, content, _given(APT=apt), settings, reporter)
        elif not _exists(tag):
            _load(archive, tag, reporter)
    return tag


def _load(archive: Path, tag: str, reporter: Reporter) -> None:
    with reporter.step(f"load {archive}"):
        said = docker("load", "--quiet", "--input", str(archive))
        (loaded,) = re.findall(r"^Loaded image(?: ID)?: (\S+)$", said, re.MULTILINE)
        docker("tag", loaded, tag)
        docker("image", "rm", "--no-prune", loaded)


def ensure_archive(settings: Settings, recipe: Recipe, reporter: Reporter) -> Path:
    """The archive of an image for `build_on = "builder"`: built, saved and kept once."""
    tag = recipe_tag(settings, recipe)
    archive = cache_folder() / f"{tag.partition('/')[2].replace(':', '-')}.tar"
    if archive.exists():
        return archive
    with alone(reporter):
        if not archive.exists():
            _ensure(tag, recipe_context(settings, recipe), recipe.arguments, settings, reporter)
            with reporter.step(f"save the image of {recipe.name}"):
                _save(tag, archive)
    return archive


def archive_sources(builder: Builder) -> list[str]:
    """The lines of apt's sources for the archive that this machine makes systems from."""
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


# --- inside -------------------------------------------------------------------------------------


def _certificates(settings: Settings) -> dict[str, bytes]:
    """Extra CA certificates, under the names that `update-ca-certificates` looks for."""
    found = {}
    for path in map(settings.path, settings.downloads.ca_certificates):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"cannot be read: {error.strerror}",
                where=str(path),
                hint="see [downloads] ca_certificates in site.toml",
            ) from None
        found[f"ca/{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}.crt"] = content
    return found


def _archives(settings: Settings) -> str:
    """The build argument APT: mirrors of archives, for images/apt-mirrors.sh."""
    return " ".join(f"{name}={url}" for name, url in sorted(settings.downloads.apt.items()))


def _apt_mirrors(settings: Settings) -> dict[str, bytes]:
    """The program that takes APT, in the folder of certificates."""
    return {f"ca/{APT_MIRRORS.name}": APT_MIRRORS.read_bytes()} if settings.downloads.apt else {}


def _host_parts(settings: Settings) -> tuple[str, bytes]:
    """APT and the build context of the host image. It gets no certificates but for the sake of APT."""
    mirrors = {**_certificates(settings), **_apt_mirrors(settings)} if settings.downloads.apt else {}
    return _archives(settings), context(HOST_FOLDER, mirrors)


def _given(**arguments: str | None) -> dict[str, str]:
    return {key: value for key, value in arguments.items() if value}


def digest(*parts: str | bytes) -> str:
    """Sixteen hexadecimal digits for the parts and this machine's kind of processor."""
    total = hashlib.sha256()
    for part in (platform.machine(), *parts):
        content = part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()[:16]


def _exists(tag: str) -> bool:
    return bool(docker("image", "ls", "--quiet", tag).strip())


def _ensure(
    tag: str, content: bytes, arguments: Mapping[str, str], settings: Settings, reporter: Reporter
) -> None:
    """Builds `content` as `tag` on the base image, unless that is there."""
    if _exists(tag):
        return
    given = {"BASE": base_image(settings, reporter), **arguments}
    proxy = proxy_variables(settings)  # by name alone: a password should not stand in argv
    words = [*(f"{key}={value}" for key, value in given.items()), *proxy]
    options = [option for word in words for option in ("--build-arg", word)]
    with reporter.step(f"build the image {tag.partition(':')[0]}") as step:
        command = ["build", "--force-rm", "--tag", tag, *options, "-"]
        docker(*command, stdin=content, on_line=step.say, env=proxy)


def _save(tag: str, archive: Path) -> None:
    """An archive that has its name is complete. The oldest of its kind go."""
    with atomic(archive) as unfinished:
        docker("save", "--output", str(unfinished), tag)
    alike = archive.parent.glob(f"{archive.stem.rpartition('-')[0]}-*.tar")
    for old in sorted(alike, key=lambda path: path.stat().st_mtime, reverse=True)[ARCHIVES_KEPT:]:
        old.unlink()


@contextmanager
def alone(reporter: Reporter) -> Iterator[None]:
    """One process at a time makes images: the second one then finds them made."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with reporter.step("wait for another run that makes images"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
