"""Check a file of JupyterHub configuration before the hub loads it: check_config.py FILE

The file is loaded alone. An option that no class of the hub has is an error; JupyterHub itself only warns of
it in its log. A value that its option does not take is one too. Ends with 1 and a line for each error, or
with 0 after the line `checked`: a file can end its program with 0 before anything is checked.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traitlets import TraitError, TraitType
from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfig, LazyConfigValue, PyFileConfigLoader

CHECKED = "checked"
TIME_LIMIT = 60  # seconds that a file may take, once the hub's packages are loaded
GROUPS = ("jupyterhub.authenticators", "jupyterhub.proxies", "jupyterhub.spawners")


def load(path: Path) -> Config:
    """The file's settings. Raises whatever the file raises, or TimeoutError when it takes too long."""
    signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT)
    try:
        loaded: Config = PyFileConfigLoader(path.name, path=str(path.parent)).load_config()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return loaded


def _end(*_: object) -> None:
    raise TimeoutError(f"it did not end within {TIME_LIMIT} s")


def load_packages() -> None:
    """Load the hub's packages, whose classes the file may set options of."""
    import jupyterhub.app  # noqa: F401 - the classes that it knows come with it

    for group in GROUPS:
        for entry in importlib.metadata.entry_points(group=group):
            try:
                entry.load()
            except Exception as error:  # of a package whose optional dependency is missing
                sys.stderr.write(f"{entry.name} is left out: {error}\n")
    import ready_spawner  # noqa: F401 - ours


def known_classes() -> dict[str, type[Configurable]]:
    """Classes that the hub's packages and the file bring, by name."""
    return dict(_below(Configurable))


def _below(kind: type[Configurable]) -> Iterator[tuple[str, type[Configurable]]]:
    for child in kind.__subclasses__():
        yield child.__name__, child
        yield from _below(child)


def faults(config: Config, classes: dict[str, type[Configurable]]) -> list[str]:
    """A line for each option that the hub would ignore, and for each value that would end it."""
    found = []
    for section, values in config.items():
        if section not in classes:
            found.append(f"there is no class {section}{_near(section, classes)}")
            continue
        traits: dict[str, Any] = classes[section].class_traits(config=True)
        for name, value in values.items():
            if name not in traits:
                found.append(f"{section} has no option {name}{_near(name, traits)}")
            elif wrong := _refusal(classes[section], traits[name], value):
                found.append(f"{section}.{name} {wrong}")
    return found


def _refusal(kind: type[Configurable], trait: TraitType[Any, Any], value: Any) -> str:
    """The reason why the option does not take the value, or nothing. It never tells the value."""
    if isinstance(value, LazyConfigValue):  # such as c.Spawner.args.append(…)
        initial = trait.default()
        if not isinstance(initial, list | dict | set):
            return ""  # the default is made by the running hub
        try:
            value = value.get_value(initial)
        except (TypeError, ValueError):
            return f"takes {trait.info()}, which cannot be extended by this"
    if isinstance(value, Config | DeferredConfig) or (value is None and trait.allow_none):
        return ""
    try:
        # Not initialized: that would start what the class is for. The hub's own checks of several options
        # together need the running hub.
        blank = kind.__new__(kind)
        blank._cross_validation_lock = True
        if hasattr(trait, "validate"):
            trait.validate(blank, value)
    except TraitError:
        if getattr(trait, "klass", None) is type(value):
            return f"takes {trait.info()}, but not with what is in this one"
        return f"takes {trait.info()}, not this {type(value).__name__}"
    except Exception as error:  # of a check that needs the initialized object
        sys.stderr.write(f"{kind.__name__}.{trait.name} is not checked: {type(error).__name__}\n")
    return ""


def _near(name: str, known: dict[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def errors(path: Path) -> list[str]:
    """A line for each error of the file."""
    load_packages()
    try:
        config = load(path)
    except BaseException as error:  # sys.exit() too would end the hub
        frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == str(path)]
        line = f", at line {frames[-1].lineno}" if frames else ""
        return [f"{type(error).__name__}: {error}{line}"]
    return faults(config, known_classes())


def main() -> None:
    printed = io.StringIO()  # by the file and the packages; the errors come before it
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        found = errors(Path(sys.argv[1]))
    if found:
        sys.exit("\n".join([*found, *printed.getvalue().splitlines()]))
    sys.stdout.write(f"{CHECKED}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
    os._exit(0)  # threads that the file has started would go on
