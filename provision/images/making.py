"""Images made on this computer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from provision.errors import SettingsError
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.settings.download_environment import proxy_variables
from provision.tools.process import docker

from .base import base_image, exists
from .cache import alone, cache_folder, save
from .context import Context
from .recipes import Recipe, baked, given_only, host_image_tag, host_parts, recipe_context, recipe_tag


def ensure_host_image(settings: Settings, reporter: Reporter) -> str:
    """Make the host image unless it exists, and return its name."""
    tag, archive = host_image_tag(settings), baked(settings)
    if archive is not None and not archive.is_file():
        raise SettingsError(
            "there is no such file", where=f"vm.box: {archive}", hint="`hubwright bake FILE` writes it"
        )
    with alone(reporter):
        if archive is None:
            apt, content = host_parts(settings)
            _ensure(tag, content, given_only(APT=apt), settings, reporter)
        elif not exists(tag):
            _load(archive, tag, reporter)
    return tag


def ensure_archive(settings: Settings, recipe: Recipe, reporter: Reporter) -> Path:
    """Build and save an image for `build_on = "builder"`, once, and return the archive's path."""
    tag = recipe_tag(settings, recipe)
    archive = cache_folder() / f"{tag.partition('/')[2].replace(':', '-')}.tar"
    if archive.exists():
        return archive
    with alone(reporter):
        if not archive.exists():
            _ensure(tag, recipe_context(settings, recipe), recipe.arguments, settings, reporter)
            with reporter.step(f"save the image of {recipe.name}"):
                save(tag, archive)
    return archive


def _ensure(
    tag: str, content: Context, arguments: Mapping[str, str], settings: Settings, reporter: Reporter
) -> None:
    """Build `content` as `tag` on the base image, unless it exists."""
    if exists(tag):
        return
    given = {"BASE": base_image(settings, reporter), **arguments}
    proxy = proxy_variables(settings)  # by name alone: a password must not be in argv
    words = [*(f"{key}={value}" for key, value in given.items()), *proxy]
    options = [option for word in words for option in ("--build-arg", word)]
    with reporter.step(f"build the image {tag.partition(':')[0]}") as step:
        command = ["build", "--force-rm", "--tag", tag, *options, "-"]
        docker(*command, stdin=content.write, on_line=step.say, env=proxy)


def _load(archive: Path, tag: str, reporter: Reporter) -> None:
    with reporter.step(f"load {archive}"):
        said = docker("load", "--quiet", "--input", str(archive))
        (loaded,) = re.findall(r"^Loaded image(?: ID)?: (\S+)$", said, re.MULTILINE)
        docker("tag", loaded, tag)
        docker("image", "rm", "--no-prune", loaded)
