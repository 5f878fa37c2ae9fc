"""Imports point down only, and each library that a room was made for stays in that room."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roles import paths

PROJECT = Path(__file__).parents[2]
OURS = {"provision", "roles", "services", "tests", "fabfile", "jupyterhub_config", "benchmarks"}

# A file may import from files of a lower level, and a package from itself.
LEVELS = (
    {"provision.errors", "provision.whole"},
    {"provision.agent"},
    {"provision.settings"},
    {"roles"},
    {
        "provision.bundle",
        "provision.digests",
        "provision.host_keys",
        "provision.metrics",
        "provision.package_sources",
        "provision.process",
        "provision.proxies",
        "provision.report",
    },
    {"provision.kvm", "provision.relay", "provision.unattended"},
    {"provision.hosts", "provision.hypervisors", "provision.images"},
    {"provision.fleet"},
    {"provision.deploy", "provision.observe", "provision.surroundings", "provision.verify", "provision.vm"},
    {"provision.cloud_init", "provision.run_report", "provision.site", "provision.status_report"},
    {"provision.baking", "provision.options"},
    {"provision.cli", "fabfile"},
)

SSH = {"provision.hosts.connections", "provision.hosts.runs"}

ONLY_IN = {
    "vagrant": {"provision.vm.driver"},
    "fabric": {*SSH, "provision.hosts.targets", "fabfile"},
    "paramiko": {*SSH, "provision.hosts.known_hosts", "fabfile"},
    "invoke": {"fabfile"},
    "pydantic": {
        f"provision.settings.{part}"
        for part in ("loading", "mirrors", "reference", "schema", "section", "values")
    },
    "jinja2": {"roles.render", "services.status_page"},
    "statsd": {"provision.metrics", "services.counting_culler", "services.hub_metrics"},
    "click": {"provision.cli", "provision.options", "provision.run_report"},
    "yaml": {"provision.package_sources"},
    "rich": {"provision.report"},
}


def sources(*places: str) -> list[Path]:
    found = [PROJECT / place for place in places if place.endswith(".py")]
    for place in places:
        found += sorted((PROJECT / place).rglob("*.py"))
    return [path for path in found if path.exists()]


def module(path: Path) -> str:
    name = path.relative_to(PROJECT).with_suffix("").as_posix().replace("/", ".")
    return name.removesuffix(".__init__")


def imports(path: Path, text: str | None = None) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, wherever in the file it does."""
    tree = ast.parse(path.read_text(encoding="utf-8") if text is None else text)
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


def level(name: str) -> int | None:
    """The level that a module stands on; None for a name that is no module of ours."""
    for number, names in enumerate(LEVELS):
        if any(name == known or name.startswith(f"{known}.") for known in names):
            return number
    return None


def room(name: str) -> str:
    return next(known for names in LEVELS for known in names if name == known or name.startswith(f"{known}."))


def wrong_imports(path: Path, text: str | None = None) -> list[str]:
    own = module(path)
    height = level(own)
    wrong = []
    for line, name in imports(path, text):
        top = name.partition(".")[0]
        place = f"{path.relative_to(PROJECT)}:{line}"
        if top in ONLY_IN and own not in ONLY_IN[top]:
            wrong.append(f"{place}: {top} is imported by {' and '.join(sorted(ONLY_IN[top]))} only")
        if own.startswith("provision.agent") and not name.startswith("provision.agent"):
            if top not in sys.stdlib_module_names:
                wrong.append(f"{place}: the agent imports {name}, which hosts do not have")
        elif own.startswith("services.") or own == "jupyterhub_config":
            if top in OURS:
                wrong.append(f"{place}: what runs on the host imports {name}, which stays with the driver")
        elif own.startswith("tests.verify"):
            if top in OURS and not name.startswith(("provision.settings", "tests.")):
                wrong.append(f"{place}: checks import {name}; of the project they know the settings alone")
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
            "provision/hosts/runs.py",
            "import provision.deploy",
            "runs.py:1: provision.hosts.runs imports provision.deploy",
        ),
        ("provision/metrics.py", "from provision.bundle import pack", "stands above or beside it"),
        ("provision/deploy.py", "import vagrant", "vagrant is imported by provision.vm.driver only"),
        (
            "provision/deploy.py",
            "from paramiko import Transport",
            "paramiko is imported by fabfile and provision.hosts.connections and provision.hosts.known_hosts",
        ),
        (
            "roles/docker.py",
            "from pydantic import BaseModel",
            "pydantic is imported by provision.settings.loading",
        ),
        ("roles/docker.py", "from provision.deploy import steps", "stands above"),
        ("provision/agent/state.py", "import yaml", "the agent imports yaml"),
        (
            "provision/agent/state.py",
            "from ..settings import load",
            "the agent imports provision.settings.load",
        ),
        (
            "provision/agent/resources/fs.py",
            "from ...errors import Exit",
            "the agent imports provision.errors.Exit",
        ),
        (
            "services/ready_spawner.py",
            "import roles.paths",
            "services/ready_spawner.py:1: what runs on the host",
        ),
        ("jupyterhub_config.py", "from provision import settings", "stays with the driver"),
        ("tests/verify/test_visit.py", "from roles import paths", "the settings alone"),
        ("provision/deploy.py", "from provision.brand_new import x", "stands on no level"),
    ],
)
def test_a_wrong_import_is_named_with_its_line(file: str, text: str, complaint: str) -> None:
    assert complaint in "\n".join(wrong_imports(PROJECT / file, text))


def test_only_report_prints() -> None:
    prints = [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in sources("provision", "roles", "services", "fabfile.py", "jupyterhub_config.py")
        if module(path) != "provision.report"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert prints == []


def test_the_images_have_their_names_from_one_place() -> None:
    files = [
        *sources("provision", "roles", "services", "jupyterhub_config.py"),
        *PROJECT.glob("roles/templates/*"),
    ]
    for role, name in (("notebook_image", "NOTEBOOK"), ("graphite", "GRAPHITE")):
        named = [path.name for path in files if f".resource(paths.{name})" in path.read_text()]
        assert named == [f"{role}.py"]
    for name in (f'"{paths.NOTEBOOK}"', f'"{paths.IMAGES}/'):
        named = [path.name for path in files if name in path.read_text() and path.name != "paths.py"]
        assert named == [], f"{name} belongs to roles/paths.py"
