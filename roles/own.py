"""The operator's own roles: Python files in the form of the shipped ones, beside their hub.toml."""

from __future__ import annotations

import importlib.util
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from provision.errors import SettingsError
from provision.settings import Settings
from roles.role import Role

NAME = re.compile(r"[a-z][a-z0-9_]*")


def load(settings: Settings, shipped: tuple[str, ...]) -> tuple[Role, ...]:
    """The roles of `[extend] roles`. Raises SettingsError for a file that holds none that fits."""
    found: list[Role] = []
    for relative in settings.extend.roles:
        path = settings.path(relative)
        role = _role_of(path)
        known = (*shipped, *(other.name for other in found))
        for fault in _faults(role, known):
            raise SettingsError(
                fault, where=f"extend.roles: {path}", hint=f"the roles before it are {', '.join(known)}"
            )
        found.append(role)
    return tuple(found)


def _role_of(path: Path) -> Role:
    where = f"extend.roles: {path}"
    if not path.is_file():
        raise SettingsError("there is no such file", where=where, hint="a relative path starts at hub.toml")
    spec = importlib.util.spec_from_file_location(f"own_role_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SettingsError("is no Python file", where=where, hint="its name should end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the operator reads any error of their own code
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
        raise SettingsError(
            f"cannot be loaded{f', at line {line}' if line else ''}: {type(error).__name__}: {error}",
            where=where,
            hint="`hubwright -vv plan` shows the traceback",
        ) from error
    role = getattr(module, "ROLE", None)
    if not isinstance(role, Role):
        raise SettingsError(
            "defines no ROLE", where=where, hint="it should end with ROLE = Role(…), from roles.role"
        )
    return role


def _faults(role: Role, known: tuple[str, ...]) -> Iterator[str]:
    if not NAME.fullmatch(role.name):
        yield f"its name {role.name!r} should be small letters, digits and _"
    if role.name in known:
        yield f"there is a role {role.name} already"
    if missing := [need for need in role.needs if need not in known]:
        yield f"{role.name} needs {', '.join(missing)}, which no role before it is called"
