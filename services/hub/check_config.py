"""Check a file of JupyterHub configuration before the hub loads it: check_config.py FILE

The file is loaded alone. An option that no class of the hub has is an error; JupyterHub itself only warns of
it in its log. Ends with 1 and a line for each error.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traitlets.config import Config, Configurable
from traitlets.config.loader import PyFileConfigLoader

GROUPS = ("jupyterhub.authenticators", "jupyterhub.proxies", "jupyterhub.spawners")


def load(path: Path) -> Config:
    """The file's settings. Raises whatever the file raises."""
    loaded: Config = PyFileConfigLoader(path.name, path=str(path.parent)).load_config()
    return loaded


def known_classes() -> dict[str, type[Configurable]]:
    """Classes that the hub's packages bring, by name."""
    import jupyterhub.app  # noqa: F401 - the classes that it knows come with it

    for group in GROUPS:
        for entry in importlib.metadata.entry_points(group=group):
            try:
                entry.load()
            except Exception as error:  # of a package whose optional dependency is missing
                sys.stderr.write(f"{entry.name} is left out: {error}\n")
    import ready_spawner  # noqa: F401 - ours

    return dict(_below(Configurable))


def _below(kind: type[Configurable]) -> Iterator[tuple[str, type[Configurable]]]:
    for child in kind.__subclasses__():
        yield child.__name__, child
        yield from _below(child)


def faults(config: Config, classes: dict[str, type[Configurable]]) -> list[str]:
    """A line for each option that the hub would ignore."""
    found = []
    for section, values in config.items():
        if section not in classes:
            found.append(f"there is no class {section}{_near(section, classes)}")
            continue
        traits: dict[str, Any] = classes[section].class_traits(config=True)
        found += [
            f"{section} has no option {name}{_near(name, traits)}" for name in values if name not in traits
        ]
    return found


def _near(name: str, known: dict[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def main() -> None:
    path = Path(sys.argv[1])
    try:
        config = load(path)
    except Exception as error:
        frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == str(path)]
        line = f", at line {frames[-1].lineno}" if frames else ""
        sys.exit(f"{type(error).__name__}: {error}{line}")
    if wrong := faults(config, known_classes()):
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
