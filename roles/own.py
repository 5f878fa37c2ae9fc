"""The operator's own roles: Python files in the form of the shipped ones, beside their hub.toml.

Their authors see one screen for any mistake: fields are checked when a file is loaded, and each function of
a role is wrapped, so that an exception or a result of the wrong kind becomes a SettingsError.
"""

from __future__ import annotations

import importlib.util
import json
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as short
from typing import Any, TypeVar

from provision.agent.resources import GeneratedSecret, Resource
from provision.errors import SettingsError
from provision.settings import Settings
from roles.role import Caller, Data, Door, Page, Role

T = TypeVar("T")

NAME = re.compile(r"[a-z][a-z0-9_]*")
FUNCTIONS = {
    "steps": "lambda inputs: [Directory(…), …]",
    "wanted": "lambda settings: True",
    "units": 'lambda settings: ("mine.service",)',
    "doors": 'lambda settings: (Door(8080, "host"),)',
}
TUPLES: dict[str, tuple[type, str]] = {
    "needs": (str, '("base",)'),
    "containers": (str, '("mine",)'),
    "state": (Data, '(Data("our files", path="/srv/ours"),)'),
    "secrets": (str, '("/etc/ours.key",)'),
    "fresh": (tuple, '(("/srv/ours/report", 600),)'),
}


def load(settings: Settings, shipped: tuple[str, ...]) -> tuple[Role, ...]:
    """The roles of `[extend] roles`. Raises SettingsError for a file that holds none that fits."""
    found: list[Role] = []
    for relative in settings.extend.roles:
        path = settings.path(relative)
        role = _role_of(path)
        where = f"extend.roles: {path}"
        for fault, hint in _field_faults(role):
            raise SettingsError(fault, where=where, hint=hint)
        known = (*shipped, *(other.name for other in found))
        for fault in _faults(role, known):
            raise SettingsError(fault, where=where, hint=f"the roles before it are {', '.join(known)}")
        found.append(_guarded(role, path))
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
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the operator reads any error of their own code, SystemExit too
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
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


def _line(error: BaseException, path: Path) -> int | None:
    """The last line of the file that the error came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return frames[-1].lineno if frames else None


def _field_faults(role: Role) -> Iterator[tuple[str, str]]:
    """Pairs of a field's fault and a hint."""
    for field in ("name", "about"):
        if not isinstance(value := getattr(role, field), str):
            yield f"its {field} should be text, not {short(value)}", f'write {field}="…"'
    for field, example in FUNCTIONS.items():
        if not callable(value := getattr(role, field)):
            yield f"{field} should be a function, not {short(value)}", f"write {field}={example}"
    for field, (kind, example) in TUPLES.items():
        value = getattr(role, field)
        if not isinstance(value, tuple | list) or not all(isinstance(each, kind) for each in value):
            yield (
                f"{field} should be a tuple, such as {example}, not {short(value)}",
                f"write {field}={example}",
            )
    for pair in role.fresh:
        if [type(part) for part in pair] != [str, int]:
            yield (
                f"fresh should have pairs of a path and seconds, not {short(pair)}",
                "write a pair for each file",
            )
    caller, page = role.calls_hub, role.page
    if caller is not None and not (
        isinstance(caller, Caller) and isinstance(caller.token, GeneratedSecret) and callable(caller.scopes)
    ):
        yield (
            f"calls_hub should be a Caller, not {short(caller)}",
            "write Caller(name, GeneratedSecret(…), scopes)",
        )
    if page is not None and not (isinstance(page, Page) and callable(page.url) and callable(page.display)):
        yield (
            f"page should be a Page, not {short(page)}",
            "write Page(name, url), with functions of the settings",
        )


def _faults(role: Role, known: tuple[str, ...]) -> Iterator[str]:
    if not NAME.fullmatch(role.name):
        yield f"its name {role.name!r} should be small letters, digits and _"
    if role.name in known:
        yield f"there is a role {role.name} already"
    if missing := [need for need in role.needs if need not in known]:
        yield f"{role.name} needs {', '.join(missing)}, which no role before it is called"


def _guarded(role: Role, path: Path) -> Role:
    """The role with all its functions wrapped."""
    guard = _Guard(role.name, path)
    caller, page = role.calls_hub, role.page
    return replace(
        role,
        steps=lambda inputs: [
            guard.sendable(each) for each in guard.many("steps", role.steps, Resource, inputs)
        ],
        wanted=lambda settings: guard.one("wanted", role.wanted, bool, settings),
        units=lambda settings: guard.many("units", role.units, str, settings),
        doors=lambda settings: guard.many("doors", role.doors, Door, settings),
        calls_hub=caller
        and replace(caller, scopes=lambda settings: guard.many("scopes", caller.scopes, str, settings)),
        page=page
        and replace(
            page,
            url=lambda settings: guard.one("url", page.url, str, settings),
            display=lambda settings: guard.one("display", page.display, bool, settings),
        ),
    )


@dataclass(frozen=True)
class _Guard:
    """The functions of one own role as they are called. Raises SettingsError for all that they do wrong."""

    role: str
    path: Path

    def one(self, field: str, function: Callable[[Any], T], kind: type[T], given: Any) -> T:
        """The result of a function that returns one value."""
        result = self._call(field, function, given)
        if not isinstance(result, kind):
            raise self._wrong_kind(field, function, f"{short(result)} in place of {kind.__name__}")
        return result

    # Abstract classes are no type[T] for mypy, so `kind` may be any type.
    def many(self, field: str, function: Callable[[Any], Any], kind: Any, given: Any) -> tuple[Any, ...]:
        """The result of a function that returns several values of a kind."""
        result = self._call(field, function, given)
        if not isinstance(result, list | tuple):
            wanted = "list" if field == "steps" else "tuple"
            raise self._wrong_kind(
                field, function, f"{short(result)} in place of a {wanted} of {kind.__name__}"
            )
        for each in result:
            if not isinstance(each, kind):
                raise self._wrong_kind(
                    field, function, f"{short(each)} among its values, which is no {kind.__name__}"
                )
        return tuple(result)

    def sendable(self, resource: Resource) -> Resource:
        """The resource, unless one of its fields has a value that cannot be sent to a host."""
        try:
            json.dumps([resource.id, resource.to_json()])
        except (TypeError, ValueError) as error:
            what = f"{type(resource).__name__} in steps cannot be sent to a host: {error}"
            raise self._error(what, None) from error
        return resource

    def _call(self, field: str, function: Callable[[Any], Any], given: Any) -> Any:
        try:
            result = function(given)
            return tuple(result) if isinstance(result, Iterator) else result
        except (KeyboardInterrupt, SettingsError):
            raise
        except BaseException as error:  # whatever their code raises, SystemExit too
            line = _line(error, self.path) or _first_line(function, self.path)
            raise self._error(f"{field} ended with {type(error).__name__}: {error}", line) from error

    def _wrong_kind(self, field: str, function: Callable[[Any], Any], what: str) -> SettingsError:
        return self._error(f"{field} returned {what}", _first_line(function, self.path))

    def _error(self, what: str, line: int | None) -> SettingsError:
        at = f", at line {line}" if line else ""
        return SettingsError(
            f"role {self.role}{at}: {what}",
            where=f"extend.roles: {self.path}",
            hint="correct the role; `hubwright -vv plan` shows the traceback",
        )


def _first_line(function: Callable[[Any], Any], path: Path) -> int | None:
    """The line where a function of the file begins."""
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None and code.co_filename == str(path) else None
