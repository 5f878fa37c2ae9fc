"""`hubwright new`: its files, its refusals, and the commands in the new folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provision.cli import cli
from provision.errors import Exit, SettingsError
from provision.machines import machine_of
from provision.own_folder import create, is_own_folder, link_programs
from provision.own_folder.folder import hub_toml, machine_name
from provision.report.reporter import Reporter
from provision.settings import explain, load, read_toml
from provision.survey import site
from provision.tools import project
from provision.tools.project import PROJECT

QUIET = Reporter(quiet=True)
Run = Callable[..., Result]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the commands of an installation."""
    folder = tmp_path / "installed"
    folder.mkdir()
    for name in ("python", "hubwright", "fab"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(folder / "python"))
    return folder


def test_the_folder_holds_a_hub_that_stands_by_itself(tmp_path: Path, programs: Path) -> None:
    folder = tmp_path / "My Workshop"
    create(folder, QUIET)
    assert {path.name for path in folder.iterdir()} == {
        ".gitignore",
        ".hubwright",
        "Vagrantfile",
        "fabfile.py",
        "hub.toml",
        "images",
    }
    settings = load(folder / "hub.toml", {})
    assert settings.vm.name == "my-workshop"
    assert settings.image.build is not None
    image = settings.path(settings.image.build)
    assert image == folder / "images" / "notebook", "which the operator may edit"
    assert (image / "Dockerfile").read_bytes() == (PROJECT / "images/notebook/Dockerfile").read_bytes()
    assert machine_of(settings).paths.dotfile == folder / ".vagrant", "where plain `vagrant` looks"
    assert (folder / ".hubwright/bin/hubwright").resolve() == programs / "hubwright"
    assert (folder / ".hubwright/bin/fab").resolve() == programs / "fab"


def test_what_git_must_not_keep_is_named(tmp_path: Path) -> None:
    create(tmp_path / "hub", QUIET)
    ignored = (tmp_path / "hub" / ".gitignore").read_text().splitlines()
    assert {"/site.toml", "/secrets.toml", "/.hubwright/", "/.vagrant/"} <= set(ignored)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("hub", "hub"),
        ("My Hub.2", "my-hub-2"),
        ("--x--", "x"),
        ("été", "t"),
        ("…", "hub"),
        ("a" * 60, "a" * 40),
    ],
)
def test_the_machine_is_called_after_the_folder(folder: str, name: str) -> None:
    assert machine_name(folder) == name
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", machine_name(folder))


def test_comments_lead_to_what_a_folder_without_the_clone_has() -> None:
    text = hub_toml("my-hub")
    assert "docs/" not in text
    sections = re.findall(r"`hubwright config explain (\w+)`", text)
    assert sections
    assert all(explain(section) for section in sections)  # SettingsError for one that is not known


def test_a_hub_toml_with_a_machine_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project" / "images" / "notebook").mkdir(parents=True)
    (tmp_path / "project" / "hub.toml").write_text('[vm]\nname = "mine"\n')
    monkeypatch.setattr("provision.own_folder.folder.PROJECT", tmp_path / "project")
    create(tmp_path / "hub", QUIET)
    assert read_toml(tmp_path / "hub" / "hub.toml") == {"vm": {"name": "mine"}}


def test_an_empty_repository_is_filled(tmp_path: Path) -> None:
    (tmp_path / "hub" / ".git").mkdir(parents=True)
    create(tmp_path / "hub", QUIET)
    assert (tmp_path / "hub" / "hub.toml").exists()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, standalone_mode=False)


def test_a_folder_with_content_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("# mine\n")
    refused = run("new", str(tmp_path)).exception
    assert isinstance(refused, SettingsError)
    assert refused.code is Exit.USAGE
    assert "is not empty: it has hub.toml" in str(refused)
    assert "nothing was written" in refused.hint
    assert [path.name for path in tmp_path.iterdir()] == ["hub.toml"]


@pytest.mark.parametrize("name", ["", " "])
def test_no_name_is_not_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run("new", name).exception
    assert isinstance(refused, SettingsError)
    assert str(refused) == "the folder's name is empty"
    assert list(tmp_path.iterdir()) == []


def test_the_next_step_names_a_folder_that_looks_like_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "next: cd ./-rf;" in CliRunner().invoke(cli, ["new", "--", "-rf"]).stderr
    assert (tmp_path / "-rf" / "hub.toml").exists()


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "hub").symlink_to("gone")
    refused = run("new", str(tmp_path / "hub")).exception
    assert str(refused) == f"{tmp_path / 'hub'}: is a link to gone, which does not exist"


@pytest.mark.parametrize("place", [PROJECT / "hubs" / "mine", PROJECT])
def test_the_project_itself_takes_no_hub(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"is inside Hubwright's own folder") as refused:
        create(place, QUIET)
    assert refused.value.hint
    assert not (PROJECT / "hubs").exists()


@pytest.mark.parametrize(("place", "words"), [("file", "is not a folder"), ("file/hub", "Not a directory")])
def test_a_place_that_takes_no_folder(tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=words) as refused:
        create(tmp_path / place, QUIET)
    assert refused.value.hint


def test_what_comes_next_is_told(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create(tmp_path / "a hub", Reporter())
    said = capsys.readouterr().err
    assert f"cd '{tmp_path}/a hub'" in said
    assert f"`{programs / 'hubwright'} up`" in said
    monkeypatch.setenv("PATH", str(programs))
    create(tmp_path / "b", Reporter())
    assert "`hubwright up`" in capsys.readouterr().err


def test_init_leads_a_folder_that_came_from_elsewhere_to_its_program(tmp_path: Path, programs: Path) -> None:
    create(tmp_path / "hub", QUIET)
    link = tmp_path / "hub/.hubwright/bin/hubwright"
    link.unlink()
    link.symlink_to("/nowhere/hubwright")
    (tmp_path / "hub" / "site.toml").touch()
    assert run("--config", str(tmp_path / "hub" / "hub.toml"), "init").exception is None
    assert link.resolve() == programs / "hubwright"

    (tmp_path / "hub.toml").touch()
    (tmp_path / "site.toml").touch()
    assert run("--config", str(tmp_path / "hub.toml"), "init").exception is None
    assert not (tmp_path / ".hubwright").exists(), "which is no folder of ours"
    assert not is_own_folder(tmp_path)


def test_up_looks_at_the_computer_first_as_make_up_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / "hub", QUIET)
    looked: list[Path] = []

    def stop(config: Path, *_: object, **__: object) -> None:
        looked.append(config)
        raise SettingsError("enough")

    monkeypatch.setattr(site, "init", stop)
    config = tmp_path / "hub" / "hub.toml"
    assert str(run("--config", str(config), "up").exception) == "enough"
    assert looked == [config]


def test_the_vagrantfile_is_asked_for_without_settings(tmp_path: Path) -> None:
    told = run("--config", str(tmp_path / "none.toml"), "config", "vagrantfile")
    assert told.output.strip() == str(PROJECT / "Vagrantfile")


def test_fabric_finds_the_projects_tasks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    create(tmp_path / "hub", QUIET)
    monkeypatch.setattr(os, "environ", {})
    names: dict[str, object] = {"__file__": str(tmp_path / "hub" / "fabfile.py")}
    exec((tmp_path / "hub" / "fabfile.py").read_text(), names)
    assert {"deploy", "plan", "status", "role_hub"} <= names.keys()
    assert os.environ["HUBWRIGHT_CONFIG"] == str(tmp_path / "hub" / "hub.toml")


def test_links_are_made_again(tmp_path: Path, programs: Path) -> None:
    for _ in range(2):
        link_programs(tmp_path)
    assert (tmp_path / ".hubwright/bin/fab").readlink() == programs / "fab"
    assert project.program("fab") == programs / "fab"
