"""Images that are made on this computer: their names and contents.

The name of an image has the digest of its complete content, so no image is made twice, and two folders of
settings share equal images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provision.errors import SettingsError
from provision.settings import Settings
from provision.settings.image_names import GRAPHITE, IMAGES, NOTEBOOK
from provision.tools.digests import file_digest
from provision.tools.project import PROJECT

from .base import base_image_tag, digest
from .cache import cache_folder
from .context import Context, context, own_context

HOST_FOLDER = PROJECT / "images" / "machine"
APT_MIRRORS = PROJECT / "images" / "apt-mirrors.sh"
GRAPHITE_FOLDER = PROJECT / "images" / "graphite"


@dataclass(frozen=True)
class Recipe:
    """An image that hosts run, built from a folder with a Dockerfile that takes BASE."""

    name: str
    folder: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    own: bool = False
    """True for a folder of this project, False for one of the operator's."""


def notebook(settings: Settings) -> Recipe:
    """The image that `[image] build` names."""
    if settings.image.build is None:
        raise SettingsError("there is nothing to build", where="image", hint="set [image] build to a folder")
    folder = settings.path(settings.image.build)
    if not (folder / "Dockerfile").is_file():
        raise SettingsError(
            "has no Dockerfile", where=str(folder), hint="[image] build names the folder that has it"
        )
    return Recipe(NOTEBOOK, folder, given_only(APT=_archives(settings), PYPI=settings.downloads.pypi))


def graphite(settings: Settings) -> Recipe:
    """StatsD and Graphite, for hubs that name no image of it."""
    downloads = settings.downloads
    given = given_only(APT=_archives(settings), PYPI=downloads.pypi, NPM=downloads.npm)
    return Recipe(GRAPHITE, GRAPHITE_FOLDER, given, own=True)


def baked(settings: Settings) -> Path | None:
    """The archive of a baked hub, if `[vm] box` names one."""
    box = settings.vm.box
    return settings.path(Path(box).expanduser()) if box.endswith(".tar") else None


def host_image_tag(settings: Settings) -> str:
    """The name of the image that Vagrant's docker provider starts."""
    archive = baked(settings)
    if archive is not None and archive.is_file():
        return f"{IMAGES}/baked:{file_digest(archive, cache_folder())[:16]}"
    apt, content = host_parts(settings)
    return f"{IMAGES}/host:{digest(base_image_tag(settings), apt, content.digest)}"


def recipe_tag(settings: Settings, recipe: Recipe) -> str:
    """The name of the image that a recipe makes."""
    arguments = recipe.arguments.values()
    content = recipe_context(settings, recipe)
    return f"{IMAGES}/{recipe.name}:{digest(base_image_tag(settings), *arguments, content.digest)}"


def recipe_context(settings: Settings, recipe: Recipe) -> Context:
    """The build context of an image that hosts run: its folder, and certificates to trust."""
    added = {**_certificates(settings), **_apt_mirrors(settings)}
    return (own_context if recipe.own else context)(recipe.folder, added)


def host_parts(settings: Settings) -> tuple[str, Context]:
    """APT and the build context of the host image. It gets certificates only if APT needs them."""
    mirrors = {**_certificates(settings), **_apt_mirrors(settings)} if settings.downloads.apt else {}
    return _archives(settings), own_context(HOST_FOLDER, mirrors)


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


def given_only(**arguments: str | None) -> dict[str, str]:
    """The arguments that have a value."""
    return {key: value for key, value in arguments.items() if value}
