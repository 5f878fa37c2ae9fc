"""Settings from files and the environment, or an error that says what would be right."""

from __future__ import annotations

import difflib
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from provision.errors import SettingsError

from .image import IMAGE_SOURCES
from .section import is_section, variants
from .settings import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENVIRONMENT_PREFIX = "HUBWRIGHT__"
RENAMED = {
    ("mirrors",): ("downloads",),
    ("server", "most"): ("server", "max_servers"),
    ("network", "closed"): ("network", "blocked"),
}
_NOT_OF_FILES = {"root", "file"}  # added by `load` itself


def load(path: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read `path` (a hub.toml) and the layers over it. Raises SettingsError with file and key."""
    environ = os.environ if environ is None else environ
    path = path.absolute()
    if not _is_there(path):
        raise SettingsError(
            "not found",
            where=str(path),
            hint="run in the folder of a hub.toml, or name one with --config",
        )
    secrets = path.with_name("secrets.toml")
    layers = {str(path): read_toml(path)}
    for extra in (path.with_name("site.toml"), secrets):
        if _is_there(extra):
            layers[str(extra)] = read_toml(extra)
    _refuse_open_secrets(secrets, layers)
    layers["the environment"] = _from_environment(environ)

    merged: dict[str, Any] = {}
    for name, layer in layers.items():
        for key in _NOT_OF_FILES & set(layer):
            raise SettingsError(
                f"unknown key; known here: {', '.join(_keys(Settings))}",
                where=f"{name}: {key}",
                hint="`hubwright config explain` lists the keys; nothing was changed",
            )
        merged = _merge(merged, layer)
    try:
        return Settings.model_validate({**merged, "root": path.parent, "file": path.name})
    except ValidationError as error:
        raise _explain(error, layers) from None


def _is_there(path: Path) -> bool:
    """True unless the file is missing. For an unreadable one, too: reading it gives the reason."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; SettingsError names line and column of a syntax error."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark of its encoding
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"is not text in UTF-8, at line {line}",
            where=str(path),
            hint="save it as UTF-8, or name another file with --config",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            hint="let this user read it, or name another file with --config",
        ) from None
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except ValueError as error:  # a number with thousands of digits raises no TOMLDecodeError
        lines = text.splitlines() or [""]
        end = f"line {len(lines)}, column {len(lines[-1]) + 1}"
        what = str(error).replace("at end of document", f"at {end}")
        raise SettingsError(
            f"not valid TOML: {what}", where=str(path), hint="correct the file at that place"
        ) from None
    return tables


def _merge(below: Mapping[str, Any], above: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    """`above` over `below`, table by table.

    A source of the image replaces the other sources, and a table of another `type` all of the table below.
    """
    merged = {} if _is_of_another_type(table, below, above) else dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value, f"{table}.{key}")
        merged[key] = value
    given = set(IMAGE_SOURCES) & set(above)
    if given and table == ".image":
        for key in set(IMAGE_SOURCES) - given:
            merged.pop(key, None)
    return merged


def _is_of_another_type(table: str, below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    """True when `above` says another `type` than the table below, which without one has the default."""
    field = Settings.model_fields.get(table.removeprefix("."))
    types = list(variants(field.annotation)) if field else []
    return bool(types) and "type" in above and above["type"] != below.get("type", types[0])


def _secrets(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """The path of each secret key, with True for a table of secrets by name."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        sections = [kind] if is_section(kind) else variants(kind).values()
        for section in sections:
            yield from _secrets(section, (*prefix, name))
        if kind is SecretStr or SecretStr in get_args(kind):
            yield (*prefix, name), get_origin(kind) is dict


_TABLES = dict(_secrets(Settings))
SECRET_PATHS = tuple(_TABLES)
SECRET_FILES = (("tls", "key"),)  # keys that name a file with a secret in it


def secrets_in(settings: Settings) -> tuple[str, ...]:
    """The secrets of the settings, as names of keys: `server.secrets.API_KEY`, `tls.key`."""
    found = []
    for path in (*SECRET_PATHS, *SECRET_FILES):
        value: Any = settings
        for key in path:
            value = getattr(value, key, None)  # a union's other types have other keys
        names = [(*path, name) for name in value] if isinstance(value, dict) else [path] if value else []
        found += [".".join(name) for name in names]
    return tuple(found)


def _variable(path: tuple[str, ...]) -> str:
    """The environment variable that gives the secret at `path`."""
    name = f"{ENVIRONMENT_PREFIX}{'__'.join(path).upper()}"
    return f"{name}__<NAME>" if _TABLES[path] else name


def _refuse_open_secrets(secrets: Path, layers: Mapping[str, Mapping[str, Any]]) -> None:
    if str(secrets) in layers and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        raise SettingsError(
            "others on this computer may read it", where=str(secrets), hint=f"chmod 600 {secrets}"
        )
    for name, layer in layers.items():
        for path in SECRET_PATHS:
            if name != str(secrets) and _find(layer, path) is not None:
                raise SettingsError(
                    "is a secret and may not stand in this file",
                    where=f"{name}: {'.'.join(path)}",
                    hint=_place_for(path, secrets, layers),
                )


def _place_for(path: tuple[str, ...], secrets: Path, layers: Mapping[str, Mapping[str, Any]]) -> str:
    """The next step for a secret in an open file. One of another type would be refused elsewhere too."""
    move = f"move it to {secrets} (mode 600) or to a variable {_variable(path)}"
    types = variants(Settings.model_fields[path[0]].annotation)
    named = [layer[path[0]]["type"] for layer in layers.values() if _find(layer, (path[0], "type"))]
    now = named[-1] if named else next(iter(types), None)
    if now not in list(types) or path[-1] in types[now].model_fields:
        return move
    others = _types_with(path, types[now])
    belongs = f'it belongs to type = "{others[0]}", and the type is "{now}"'
    return f"{belongs}: take it out; or set that type and {move}"


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Secrets given as `HUBWRIGHT__SERVER__SECRETS__API_KEY=…`: a name in a table keeps its case."""
    found: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        parts = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")
        *tables, last = (part.lower() for part in parts)
        if _TABLES.get(tuple(tables)):
            last = parts[-1]
        elif _TABLES.get((*tables, last), True):
            raise SettingsError(
                f"{variable} names no secret of the settings",
                where="the environment",
                hint=f"known: {', '.join(map(_variable, SECRET_PATHS))}; everything else belongs in hub.toml",
            )
        table = found
        for key in tables:
            table = table.setdefault(key, {})
        table[last] = value
    return found


def _find(tree: Mapping[str, Any], path: tuple[Any, ...]) -> Any:
    value: Any = tree
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def _explain(error: ValidationError, layers: Mapping[str, Mapping[str, Any]]) -> SettingsError:
    """Every mistake on a line of its own: the file, the key's path, what would be right."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        path, section = _place(item["loc"])
        if item["type"].startswith("union_tag"):
            path = (*path, "type")
        file = _origin(path, layers)
        place = ": ".join(filter(None, (file, ".".join(path))))
        reason = _reason(item["type"], item["msg"], path, section)
        lines.append(f"{place}: {reason if path else _with_files(reason, file, layers)}")
    return SettingsError(
        "\n".join(lines), hint="`hubwright config explain` lists the keys; nothing was changed"
    )


def _origin(path: tuple[str, ...], layers: Mapping[str, Mapping[str, Any]]) -> str:
    """The uppermost layer with the key, or hub.toml when none has it."""
    for name in reversed(list(layers)):
        if path and _find(layers[name], path) is not None:
            return name
    return next(iter(layers))


def _with_files(reason: str, file: str, layers: Mapping[str, Mapping[str, Any]]) -> str:
    """A reason about several keys, with the file of each value in it that is not of `file`."""

    def named(match: re.Match[str]) -> str:
        origin = _origin((match[1], match[2]), layers)
        return match[0] if origin == file else f"{match[0]} (in {origin})"

    return re.sub(r'\b([a-z]+)\.([a-z_]+) = "[^"]*"', named, reason)


def _place(location: tuple[int | str, ...]) -> tuple[tuple[str, ...], type[BaseModel] | None]:
    """The path of a key as the file has it, and the section that it is in.

    Pydantic's own path also has indexes of lists and, below a table of several types, the type.
    """
    parts = [part for part in location if isinstance(part, str) and part != "[key]"]
    path: list[str] = []
    section: type[BaseModel] | None = None
    inside: type[BaseModel] | None = Settings
    types: Mapping[str, type[BaseModel]] = {}
    for part in parts:
        if part in types:
            inside, types = types[part], {}
            continue
        path.append(part)
        section, field = inside, inside.model_fields.get(part) if inside else None
        kind: Any = field.annotation if field else None
        inside, types = (kind if is_section(kind) else None), variants(kind)
    return tuple(path), section


def _reason(kind: str, message: str, path: tuple[str, ...], section: type[BaseModel] | None) -> str:
    if kind == "extra_forbidden" and path in RENAMED:
        return f"is called {'.'.join(RENAMED[path])} now"
    if kind == "extra_forbidden":
        if others := _types_with(path, section):
            return f'belongs to type = "{others[0]}"; the type is "{_type_of(section)}"'
        known = _keys(section)
        near = difflib.get_close_matches(path[-1], known, n=1)
        return (
            f"unknown key, did you mean '{near[0]}'?"
            if near
            else f"unknown key; known here: {', '.join(known)}"
        )
    if kind == "missing" and path in SECRET_PATHS:
        return f"is missing; give it in secrets.toml (mode 600) or as {_variable(path)}"
    if kind == "missing":
        return "is missing"
    if kind.startswith("union_tag"):
        types = variants(Settings.model_fields[path[0]].annotation)
        return f"should be {' or '.join(map(repr, types))}"
    return _PLAIN_WORDS.get(kind) or str(message).removeprefix("Value error, ").removeprefix("Input ")


_PLAIN_WORDS = {
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text in quotes",
    "bool_type": "should be true or false",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "tuple_type": "should be a list",
}


def _keys(section: type[BaseModel] | None) -> list[str]:
    return [name for name in section.model_fields if name not in _NOT_OF_FILES] if section else []


def _type_of(section: type[BaseModel] | None) -> str:
    """The `type` of a section that is one of several; empty for any other."""
    kinds = [variants(field.annotation) for field in Settings.model_fields.values()]
    return next((name for types in kinds for name, kind in types.items() if kind is section), "")


def _types_with(path: tuple[str, ...], section: type[BaseModel] | None) -> list[str]:
    """The other types of that table that have the key."""
    if not _type_of(section):
        return []
    types = variants(Settings.model_fields[path[0]].annotation)
    return [name for name, kind in types.items() if path[-1] in kind.model_fields]
