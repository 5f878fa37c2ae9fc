"""Imports point down only, and each library that a room was made for stays in that room."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from provision.settings import image_names

PROJECT = Path(__file__).parents[2]
OURS = {"provision", "roles", "services", "tests", "fabfile", "jupyterhub_config", "benchmarks"}

# A file may import from files of a lower level, and a package from itself.
LEVELS = (
    {"provision.errors"},
    {"provision.agent", "provision.tools"},
    {"provision.settings", "provision.report"},
    {"roles"},
    {"provision.images", "provision.ssh"},
    {"provision.deploy"},
    {"provision.first_boot", "provision.machines", "provision.pins"},
    {"provision.baking", "provision.own_folder", "provision.survey"},
    {"provision.cli"},
    {"fabfile"},
)

SSH = {"provision.ssh.connections", "provision.ssh.sessions"}

ONLY_IN = {
    "vagrant": {"provision.machines.driver"},
    "fabric": {*SSH, "provision.ssh.targets", "fabfile"},
    "paramiko": {*SSH, "provision.ssh.known_hosts", "fabfile"},
    "invoke": {"fabfile"},
    "pydantic": {"provision.settings"},
    "jinja2": {"roles.shared.render", "services.status_page.status_page"},
    "statsd": {
        "provision.deploy.timings",
        "services.culler.counting_culler",
        "services.metrics.hub_metrics",
    },
    "click": {"provision.cli", "provision.report.run"},
    "yaml": {"provision.survey.package_sources"},
    "rich": {"provision.report.reporter"},
}
STANDARD_LIBRARY_ONLY = (
    "provision.agent",
    "services.system",
    "provision.first_boot.begin",
    "provision.deploy.host_report",
)
ROLES_ARE_READ_BY = ("roles", "provision.deploy", "tests.verify", "fabfile")


def sources(*places: str) -> list[Path]:
    found = [PROJECT / place for place in places if place.endswith(".py")]
    for place in places:
        found += sorted((PROJECT / place).rglob("*.py"))
    return [path for path in found if path.exists()]


def module(path: Path) -> str:
    name = path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".")
    return name.removesuffix(".__init__")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, text: str | None = None) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, anywhere in the file."""
    tree = parsed(path) if text is None else ast.parse(text)
    package = module(path) if path.name == "__init__.py" else module(path).rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (above, node.module)))
            for alias in node.names:  # `from provision import vm` means provision.vm
                yield node.lineno, f"{source}.{alias.name}"


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def level(name: str) -> int | None:
    """The level of a module; None for a name that is no module of ours."""
    for number, names in enumerate(LEVELS):
        if any(within(name, known) for known in names):
            return number
    return None


def room(name: str) -> str:
    return next(known for names in LEVELS for known in names if within(name, known))


def wrong_imports(path: Path, text: str | None = None) -> list[str]:
    own = module(path)
    height = level(own)
    wrong = []
    for line, name in imports(path, text):
        top = name.partition(".")[0]
        place = f"{path.relative_to(PROJECT)}:{line}"
        if top in ONLY_IN and not any(within(own, known) for known in ONLY_IN[top]):
            wrong.append(f"{place}: {top} is imported by {' and '.join(sorted(ONLY_IN[top]))} only")
        alone = next((each for each in STANDARD_LIBRARY_ONLY if within(own, each)), None)
        if alone:
            beside = path.with_name(f"{top}.py").exists()  # on the host they lie in one folder
            if not (within(name, alone) or beside) and top not in sys.stdlib_module_names:
                wrong.append(f"{place}: {own} imports {name}; {alone} has the standard library alone")
        elif top == "roles" and not any(within(own, reader) for reader in ROLES_ARE_READ_BY):
            wrong.append(f"{place}: {own} imports {name}; of provision, deploy alone reads roles")
        elif own.startswith("services.") or own == "jupyterhub_config":
            if top in OURS:
                wrong.append(f"{place}: what runs on the host imports {name}, which stays with the driver")
        elif own.startswith("tests.verify"):
            if top in OURS and not name.startswith(("provision.settings", "roles.table", "tests.")):
                wrong.append(f"{place}: checks import {name}; they know the settings and the table of roles")
        elif height is not None and top in OURS:
            other = level(name)
            if other is None:
                if name.count(".") > 1 or top not in ("provision", "roles"):
                    wrong.append(f"{place}: {name} stands on no level, give it one in test_layers.py")
            elif other > height or (other == height and room(own) != room(name)):
                wrong.append(f"{place}: {own} imports {name}, which stands above or beside it")
    return wrong


def test_imports_point_down() -> None:
    places = ("provision", "roles", "services", "tests/verify", "fabfile.py", "jupyterhub_config.py")
    files = sources(*places)
    assert len(files) > 40
    assert [line for path in files for line in wrong_imports(path)] == []


def test_every_file_of_the_driver_has_a_level() -> None:
    driver = [path for path in sources("provision", "roles") if path.read_text(encoding="utf-8").strip()]
    lost = {module(path) for path in driver if level(module(path)) is None} - {"provision"}
    assert lost == set()


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        (
            "provision/settings.py",
            "import os\nfrom roles import base",
            "settings.py:2: provision.settings imports roles",
        ),
        (
            "provision/settings.py",
            "def f():\n    from provision import deploy",
            "provision.deploy, which stands above",
        ),
        (
            "provision/ssh/sessions.py",
            "import provision.deploy",
            "sessions.py:1: provision.ssh.sessions imports provision.deploy",
        ),
        ("provision/images/cache.py", "from provision.ssh import run", "stands above or beside it"),
        ("provision/deploy/apply.py", "import vagrant", "is imported by provision.machines.driver only"),
        (
            "provision/deploy/apply.py",
            "from paramiko import Transport",
            "paramiko is imported by fabfile and provision.ssh.connections and provision.ssh.known_hosts",
        ),
        (
            "roles/docker/__init__.py",
            "from pydantic import BaseModel",
            "pydantic is imported by provision.settings only",
        ),
        ("roles/docker/__init__.py", "from provision.deploy import steps", "stands above"),
        ("provision/machines/boxes.py", "from roles import paths", "of provision, deploy alone reads roles"),
        ("provision/agent/state.py", "import yaml", "provision.agent.state imports yaml"),
        (
            "provision/agent/state.py",
            "from ..settings import load",
            "provision.agent.state imports provision.settings.load",
        ),
        (
            "provision/agent/resources/fs.py",
            "from ...errors import Exit",
            "provision.agent.resources.fs imports provision.errors.Exit",
        ),
        ("services/system/fence.py", "import jinja2", "services.system has the standard library alone"),
        ("provision/first_boot/begin.py", "import click", "begin has the standard library alone"),
        (
            "services/hub/ready_spawner.py",
            "import roles.shared.paths",
            "services/hub/ready_spawner.py:1: services.hub.ready_spawner imports roles.shared.paths",
        ),
        ("jupyterhub_config.py", "from provision import settings", "stays with the driver"),
        ("tests/verify/test_visit.py", "from provision.deploy import x", "the settings and the table of"),
        ("provision/deploy/apply.py", "from provision.brand_new import x", "stands on no level"),
    ],
)
def test_a_wrong_import_is_named_with_its_line(file: str, text: str, complaint: str) -> None:
    assert complaint in "\n".join(wrong_imports(PROJECT / file, text))


def test_only_report_prints() -> None:
    prints = [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in sources("provision", "roles", "services", "fabfile.py", "jupyterhub_config.py")
        if module(path) != "provision.report.reporter"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


def test_the_images_have_their_names_from_one_place() -> None:
    files = [
        *sources("provision", "roles", "services", "jupyterhub_config.py"),
        *PROJECT.glob("roles/*/*.j2"),
    ]
    for role, name in (("notebook_image", "NOTEBOOK"), ("graphite", "GRAPHITE")):
        named = [path.parent.name for path in files if f".resource({name})" in path.read_text()]
        assert named == [role]
    for name in (f'"{image_names.NOTEBOOK}"', f'"{image_names.IMAGES}/'):
        named = [path.name for path in files if name in path.read_text() and path.name != "image_names.py"]
        assert named == [], f"{name} belongs to provision/settings/image_names.py"
