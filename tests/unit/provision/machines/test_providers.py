"""Each provider has its class, and no other code asks for the provider."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, get_args

import click
import pytest

from provision.baking import KINDS as FILES
from provision.cli import cli
from provision.errors import SettingsError
from provision.machines import KINDS, machine_of
from provision.settings import Settings
from provision.tools.project import PROJECT
from tests.support.fakes.vagrant import made

Hub = Callable[..., Settings]
PROVIDERS = tuple(kind.provider for kind in KINDS)
CLASSES = {PROJECT / "provision" / "machines" / f"{provider}.py" for provider in PROVIDERS}
HOSTS = PROJECT / "provision" / "agent"  # where docker is a program, and nothing has a provider


def questions(tree: ast.AST) -> Iterator[ast.AST]:
    """The parts that decide by a value: comparisons, cases, and keys and look-ups of tables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.match_case):
            yield node if isinstance(node, ast.Compare) else node.pattern
        elif isinstance(node, ast.Dict):
            yield from filter(None, node.keys)
        elif isinstance(node, ast.Subscript) and not _is_literal_type(node):
            yield node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            yield from node.args[:1]


def _is_literal_type(node: ast.Subscript) -> bool:
    """True for the type that lists a setting's possible values."""
    return isinstance(node.value, ast.Name) and node.value.id == "Literal"


def asked(text: str) -> list[int]:
    """The lines that decide by the name of a provider."""
    lines = set()
    for question in questions(ast.parse(text)):
        for node in ast.walk(question):
            if isinstance(node, ast.Constant) and node.value in PROVIDERS:
                lines.add(node.lineno)
    return sorted(lines)


def test_only_its_class_asks_for_a_provider() -> None:
    files = [*PROJECT.glob("provision/**/*.py"), PROJECT / "fabfile.py", *PROJECT.glob("benchmarks/*.py")]
    others = [path for path in files if path not in CLASSES and HOSTS not in path.parents]
    assert len(others) > 50
    found = [
        f"{path.relative_to(PROJECT)}:{line}"
        for path in others
        for line in asked(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "if provider == 'docker': pass",
        "if provider not in (None, 'docker'): pass",
        "GET = {'libvirt': 1}",
        "found.providers['virtualbox'].works",
        "found.get('libvirt')",
        "KINDS = {('docker', '.tar'): export}",
        "match provider:\n    case 'docker': pass",
    ],
)
def test_each_way_to_ask_is_found(text: str) -> None:
    assert asked(text)


def test_names_that_decide_nothing_are_let_be() -> None:
    assert not asked("provider: Literal['docker', 'libvirt'] = 'docker'\nrun(['docker', 'ps'])")


def test_the_settings_and_the_command_know_each_kind() -> None:
    assert get_args(Settings.model_fields["vm"].default.__class__.model_fields["provider"].annotation) == (
        PROVIDERS
    )
    up: Any = cli.commands["up"]
    (choice,) = [each.type.choices for each in up.params if isinstance(each.type, click.Choice)]
    assert tuple(choice) == PROVIDERS


def test_every_file_that_a_machine_becomes_can_be_written() -> None:
    assert {suffix for kind in KINDS for suffix in kind.becomes} == set(FILES)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_machine_that_exists_is_the_hubs(hub: Hub, provider: str) -> None:
    settings = hub()
    assert machine_of(settings).provider == "docker"
    assert machine_of(settings, provider).provider == provider
    assert not machine_of(settings, provider).exists
    made(machine_of(settings).paths.dotfile, provider)
    assert machine_of(settings).provider == provider
    assert machine_of(settings).exists
    other = next(name for name in PROVIDERS if name != provider)
    with pytest.raises(SettingsError, match=f"it was made with {provider}, not with {other}") as caught:
        machine_of(settings, other)
    assert "hubwright destroy" in caught.value.hint


def test_a_folder_with_a_vagrantfile_of_ours_keeps_vagrants_notes_beside_it(hub: Hub) -> None:
    settings = hub()
    beside = settings.root / "Vagrantfile"
    beside.write_text("Vagrant.configure('2') { |config| }\n")
    assert machine_of(settings).paths.dotfile == settings.state / "vagrant", "it is another machine's"
    assert machine_of(settings).paths.vagrantfile_folder == PROJECT
    beside.write_text('ENV["HUBWRIGHT_PROGRAM"] ||= "hubwright"\n')
    assert machine_of(settings).paths.dotfile == settings.root / ".vagrant"
    assert machine_of(settings).paths.vagrantfile_folder == settings.root


def test_a_machine_without_a_disk_says_what_becomes_of_it(hub: Hub) -> None:
    for ask in ("disk", "power_off"):
        with pytest.raises(Exception, match="have no disk of their own") as caught:
            getattr(machine_of(hub()), ask)()
        assert ".tar" in getattr(caught.value, "hint", "")
