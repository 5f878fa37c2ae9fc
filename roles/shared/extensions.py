"""The operator's own configuration and packages, read and checked before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from provision.errors import SettingsError
from provision.settings import Settings

ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
COMPILE = "`uv pip compile --generate-hashes requirements.in -o requirements.txt` writes such a file"


def read_hub_config(settings: Settings) -> dict[str, str]:
    """Name of the file → Python text, in the order of `[extend] hub_config`."""
    found = {}
    for relative in settings.extend.hub_config:
        path = settings.path(relative)
        where = f"extend.hub_config: {path}"
        text = _read(path, where)
        try:
            compile(text, str(path), "exec")
        except SyntaxError as error:
            raise SettingsError(
                f"is no valid Python: {error.msg}, at line {error.lineno}",
                where=where,
                hint="correct that line",
            ) from None
        found[path.name] = text
    return found


def read_packages(settings: Settings, lock: str) -> str:
    """The requirements of `[extend] packages` that `lock`, the hub's own, does not have yet.

    Each names a version and hashes: nothing unchecked is installed. One that the hub has in another version
    is refused, for the hub would not start with it or would not be what was tested.
    """
    relative = settings.extend.packages
    if relative is None:
        return ""
    path = settings.path(relative)
    where = f"extend.packages: {path}"
    own = dict(_pins(_read(path, where), where))
    if not own:
        raise SettingsError("names no package", where=where, hint=f"{COMPILE}; or leave the key out")
    hub = {name: entry for name, (_, entry) in _pins(lock, "the hub's lock")}
    versions = {name: version for name, (version, _) in _pins(lock, "the hub's lock")}
    for name, (version, _) in own.items():
        if versions.get(name, version) != version:
            raise SettingsError(
                f"{name}=={version} does not go with the hub, which has {name}=={versions[name]}",
                where=where,
                hint="compile it with the hub's as constraints: "
                "`uv pip compile --generate-hashes -c roles/locks/hub.txt requirements.in "
                "-o requirements.txt`",
            )
    return "".join(f"{entry}\n" for name, (_, entry) in own.items() if name not in hub)


def _pins(text: str, where: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Pairs of a normalized name, and its version with the whole entry."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in joined.splitlines():
        entry = re.sub(r"(^|\s)#.*", "", line).strip()
        if not entry:
            continue
        match = ENTRY.match(entry)
        if match is None or "--hash=sha256:" not in entry:
            raise SettingsError(
                f"{entry.split()[0]!r} has no version or no hash",
                where=where,
                hint=COMPILE,
            )
        yield re.sub(r"[-_.]+", "-", match[1]).lower(), (match[2], entry)


def _read(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SettingsError(
            f"cannot be read: {reason}", where=where, hint="a relative path starts at hub.toml's folder"
        ) from None
