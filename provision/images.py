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
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provision.errors import HubwrightError
from provision.process import docker, run
from provision.report import Reporter
from provision.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
HOST_FOLDER = PROJECT / "images" / "host"
GRAPHITE_FOLDER = PROJECT / "images" / "graphite"
BASE_PACKAGES = (
    "ca-certificates",
    "python3",
    "usr-is-merged",
)  # the last one instead of usrmerge and all of perl
ARCHIVES_KEPT = 3
SLIM = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")


@dataclass(frozen=True)
class Recipe:
    """An image that hosts run as hubwright/<name>, built from a folder with a Dockerfile that takes BASE."""

    name: str
    folder: Path
    arguments: Mapping[str, str] = field(default_factory=dict)


def notebook(settings: Settings) -> Recipe:
    """What `[image] build` stands for."""
    if settings.image.build is None:
        raise HubwrightError("there is nothing to build", where="image", hint="set [image] build to a folder")
    folder = settings.path(settings.image.build)
    if not (folder / "Dockerfile").is_file():
        raise HubwrightError(
            "has no Dockerfile", where=str(folder), hint="[image] build names the folder that has it"
        )
    return Recipe("notebook", folder, _given(PYPI=settings.mirrors.pypi))


def graphite(settings: Settings) -> Recipe:
    """StatsD and Graphite, for hubs that name no image of it."""
    return Recipe("graphite", GRAPHITE_FOLDER, _given(PYPI=settings.mirrors.pypi, NPM=settings.mirrors.npm))


def cache_folder() -> Path:
    """Where image archives of every project on this machine are kept; `make clean` empties it."""
    given = os.environ.get("HUBWRIGHT_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubwright"


# --- what an image is called: pure, apart from reading its folder -------------------------------


def base_image_tag(settings: Settings) -> str:
    """The reference of the base image: the registry's, or the name of what `mmdebstrap` makes."""
    if settings.builder.base == "registry":
        return settings.builder.image
    return f"hubwright/base:{_digest(*_bootstrap(settings, 'tar'))}"


def host_image_tag(settings: Settings) -> str:
    """The name of the image that Vagrant's docker provider starts."""
    return f"hubwright/host:{_digest(base_image_tag(settings), context(HOST_FOLDER))}"


def recipe_tag(settings: Settings, recipe: Recipe) -> str:
    """The name of the image that a recipe makes."""
    arguments = recipe.arguments.values()
    content = recipe_context(settings, recipe)
    return f"hubwright/{recipe.name}:{_digest(base_image_tag(settings), *arguments, content)}"


def recipe_context(settings: Settings, recipe: Recipe) -> bytes:
    """The build context of an image that hosts run: its folder, and certificates to trust."""
    return context(recipe.folder, _certificates(settings))


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
            run(_bootstrap(settings, str(archive)), on_line=step.say)
            docker("import", str(archive), tag)
    return tag


def ensure_host_image(settings: Settings, reporter: Reporter) -> str:
    """The name of the host image, which exists afterwards."""
    tag = host_image_tag(settings)
    with _alone(reporter):
        _ensure(tag, context(HOST_FOLDER), {}, settings, reporter)
    return tag


def ensure_archive(settings: Settings, recipe: Recipe, reporter: Reporter) -> Path:
    """The archive of an image for `build_on = "builder"`: built, saved and kept once."""
    tag = recipe_tag(settings, recipe)
    archive = cache_folder() / f"{tag.partition('/')[2].replace(':', '-')}.tar"
    if archive.exists():
        return archive
    with _alone(reporter):
        if not archive.exists():
            _ensure(tag, recipe_context(settings, recipe), recipe.arguments, settings, reporter)
            with reporter.step(f"save the image of {recipe.name}"):
                _save(tag, archive)
    return archive


# --- inside -------------------------------------------------------------------------------------


def _certificates(settings: Settings) -> dict[str, bytes]:
    """Extra CA certificates, under the names that `update-ca-certificates` looks for."""
    found = {}
    for path in map(settings.path, settings.mirrors.ca_certificates):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise HubwrightError(
                f"cannot be read: {error.strerror}",
                where=str(path),
                hint="see [mirrors] ca_certificates in site.toml",
            ) from None
        found[f"ca/{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}.crt"] = content
    return found


def _given(**arguments: str | None) -> dict[str, str]:
    return {key: value for key, value in arguments.items() if value}


def _bootstrap(settings: Settings, target: str) -> list[str]:
    """The command that writes a minimal root file system to `target`, a tar."""
    builder = settings.builder
    if not builder.apt or not builder.suite:
        raise HubwrightError(
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
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
        f"--include={','.join(BASE_PACKAGES)}",
        *(f"--dpkgopt=path-exclude={path}" for path in SLIM),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        builder.suite,
        target,
        *sources,
    ]


def _digest(*parts: str | bytes) -> str:
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
    options = [option for key, value in given.items() for option in ("--build-arg", f"{key}={value}")]
    with reporter.step(f"build the image {tag.partition(':')[0]}") as step:
        docker("build", "--force-rm", "--tag", tag, *options, "-", stdin=content, on_line=step.say)


def _save(tag: str, archive: Path) -> None:
    """Writes beside the archive first: one that has its name is complete. The oldest of its kind go."""
    unfinished = archive.with_suffix(".unfinished")
    try:
        docker("save", "--output", str(unfinished), tag)
        unfinished.replace(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    alike = archive.parent.glob(f"{archive.stem.rpartition('-')[0]}-*.tar")
    for old in sorted(alike, key=lambda path: path.stat().st_mtime, reverse=True)[ARCHIVES_KEPT:]:
        old.unlink()


@contextmanager
def _alone(reporter: Reporter) -> Iterator[None]:
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
