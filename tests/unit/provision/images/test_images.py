from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from provision.errors import HubwrightError, SettingsError
from provision.images import (
    base,
    base_image,
    base_image_tag,
    cache_folder,
    ensure_archive,
    ensure_host_image,
    graphite,
    host_image_tag,
    notebook,
    recipe_tag,
)
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.tools.process import explain_docker
from tests.support.fakes.programs import Programs, failed

Hub = Callable[..., Settings]
Write = Callable[[IO[bytes]], None]
ARCHIVE = '[builder]\nbase = "archive"\napt = "http://deb.example/debian"\nsuite = "bookworm"\n'


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Programs:
    """Programs with a Docker that has no image, and writes those it is told to save."""
    monkeypatch.setenv("HUBWRIGHT_CACHE", str(tmp_path / "cache"))
    programs = Programs.install(monkeypatch, base)

    def save(argv: list[str], **_: object) -> str:
        Path(argv[argv.index("--output") + 1]).write_text("image")
        return ""

    programs.answers["docker save"] = save
    return programs


@pytest.fixture
def building(hub: Hub, tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a notebook image to build, and the text of other sections."""
    folder = tmp_path / "project" / "notebook"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    (tmp_path / "project" / "ca.pem").write_text("a certificate")
    (tmp_path / "project" / "old").mkdir()
    (tmp_path / "project" / "old" / "ca.pem").write_text("another of that name")
    image = '[image]\nbuild = "notebook"\nbuild_on = "builder"\n'
    return lambda text="", **layers: hub(f"{image}{text}", **layers)


def notebook_tag(settings: Settings) -> str:
    return recipe_tag(settings, notebook(settings))


def graphite_tag(settings: Settings) -> str:
    return recipe_tag(settings, graphite(settings))


def archive_of(settings: Settings, reporter: Reporter) -> Path:
    return ensure_archive(settings, notebook(settings), reporter)


def names(write: Write) -> list[str]:
    """Names of the files of a build context, as it is written to Docker."""
    write(buffer := io.BytesIO())
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as archive:
        return archive.getnames()


@pytest.mark.parametrize(
    ("text", "renamed"),
    [
        ("[server]\nmemory = '3G'", set()),
        (ARCHIVE, {"base", "host", "notebook", "graphite"}),
        ("[downloads]\nca_certificates = ['ca.pem']", {"notebook", "graphite"}),
        ("[downloads]\npypi = 'https://pypi.example/simple'", {"notebook", "graphite"}),
        ("[downloads]\nnpm = 'https://npm.example'", {"graphite"}),
        ("[downloads]\napt = {debian = 'http://deb.example/debian'}", {"host", "notebook", "graphite"}),
        ("[downloads]\nhttp_proxy = 'http://proxy.example:3128'", set()),
        ("[downloads]\nnotebooks = true\nregistries = ['https://hub.example']", set()),
    ],
)
def test_an_image_is_named_by_all_that_goes_into_it(
    building: Callable[..., Settings], text: str, renamed: set[str]
) -> None:
    tags = {
        "base": base_image_tag,
        "host": host_image_tag,
        "notebook": notebook_tag,
        "graphite": graphite_tag,
    }
    plain, other = building(), building(text)
    assert {name for name, tag in tags.items() if tag(plain) != tag(other)} == renamed


def test_an_image_is_renamed_when_its_folder_changes(building: Callable[..., Settings]) -> None:
    settings = building()
    before = notebook_tag(settings)
    (settings.root / "notebook" / "requirements.txt").write_text("numpy")
    assert notebook_tag(settings) != before


def test_a_registry_has_the_base_image_already(programs: Programs, hub: Hub) -> None:
    settings = hub()
    assert base_image(settings, Reporter(quiet=True)) == settings.builder.image
    assert programs.calls == []


def test_another_distribution_s_archive_brings_its_keys(programs: Programs, hub: Hub) -> None:
    base_image(hub(f'{ARCHIVE}keyring = "/usr/share/keyrings/theirs.gpg"\n'), Reporter(quiet=True))
    (bootstrap,) = programs.called("mmdebstrap")
    assert " --keyring=/usr/share/keyrings/theirs.gpg " in bootstrap


@pytest.mark.parametrize(("components", "merged"), [("main", True), ("main universe", False)])
def test_only_debian_s_usr_has_to_be_merged(
    programs: Programs, hub: Hub, components: str, merged: bool
) -> None:
    base_image(hub(f'{ARCHIVE}components = "{components}"\n'), Reporter(quiet=True))
    (bootstrap,) = programs.called("mmdebstrap")
    assert ("usr-is-merged" in bootstrap) is merged, "which Ubuntu's archive does not have"


def test_a_base_image_is_made_of_the_archive_once(programs: Programs, hub: Hub) -> None:
    settings = hub(f'{ARCHIVE}components = "main universe"\nsecurity = "http://sec.example/debian"\n')
    tag = base_image(settings, Reporter(quiet=True))
    (bootstrap,) = programs.called("mmdebstrap")
    assert bootstrap.endswith(
        " deb http://deb.example/debian bookworm main universe"
        " deb http://deb.example/debian bookworm-updates main universe"
        " deb http://sec.example/debian bookworm-security main universe"
    )
    assert "--keyring" not in bootstrap
    (made,) = programs.called("docker import")
    assert made.endswith(f"base.tar {tag}")

    programs.calls.clear()
    programs.answers["docker image ls"] = "0123456789ab\n"
    assert base_image(settings, Reporter(quiet=True)) == tag
    assert programs.calls == [f"docker image ls --quiet {tag}"]


def test_an_archive_that_is_not_named_is_refused(programs: Programs, hub: Hub) -> None:
    with pytest.raises(SettingsError) as caught:
        ensure_host_image(
            hub("[builder]\nbase = 'archive'\napt = 'http://deb.example'"), Reporter(quiet=True)
        )
    assert "apt and suite" in str(caught.value)
    assert "hubwright init --force" in caught.value.hint
    assert not programs.called("docker build")


def test_the_host_image_is_built_once(programs: Programs, hub: Hub) -> None:
    settings = hub()
    tag = ensure_host_image(settings, Reporter(quiet=True))
    assert programs.called("docker build") == [
        f"docker build --force-rm --tag {tag} --build-arg BASE={settings.builder.image} -"
    ]
    programs.answers["docker image ls"] = "0123456789ab\n"
    assert ensure_host_image(settings, Reporter(quiet=True)) == tag
    assert len(programs.called("docker build")) == 1


def test_the_notebook_archive_is_made_once(programs: Programs, building: Callable[..., Settings]) -> None:
    settings = building(
        "[downloads]\npypi = 'https://pypi.example/simple'\nca_certificates = ['ca.pem', 'old/ca.pem']"
    )
    sent: list[list[str]] = []

    def build(argv: list[str], *, stdin: Write, **_: object) -> str:  # noqa: ARG001
        sent.append(names(stdin))
        return ""

    programs.answers["docker build"] = build
    archive = archive_of(settings, Reporter(quiet=True))
    assert archive.read_text() == "image"
    assert archive.parent == cache_folder()
    assert archive.stem.endswith(notebook_tag(settings).rpartition(":")[2])
    assert "--build-arg PYPI=https://pypi.example/simple" in programs.called("docker build")[0]
    ((dockerfile, *certificates),) = sent
    assert dockerfile == "Dockerfile"
    assert len(certificates) == 2
    assert all(re.fullmatch(r"ca/ca-[0-9a-f]{8}\.crt", name) for name in certificates)

    programs.calls.clear()
    assert archive_of(settings, Reporter(quiet=True)) == archive
    assert programs.calls == []


def test_images_take_packages_from_mirrors(programs: Programs, building: Callable[..., Settings]) -> None:
    apt = "[downloads]\nca_certificates = ['ca.pem']\n[downloads.apt]\n"
    settings = building(f"{apt}ubuntu = 'http://m/ubuntu'\ndebian = 'http://m/debian'")
    sent: list[set[str]] = []

    def build(argv: list[str], *, stdin: Write, **_: object) -> str:
        assert "APT=debian=http://m/debian ubuntu=http://m/ubuntu" in argv
        sent.append({re.sub("-[0-9a-f]{8}", "", name) for name in names(stdin)})
        return ""

    programs.answers["docker build"] = build
    archive_of(settings, Reporter(quiet=True))
    ensure_host_image(settings, Reporter(quiet=True))
    assert sent == [
        {"Dockerfile", "ca/ca.crt", "ca/apt-mirrors.sh"},
        {"Dockerfile", "ca/ca.crt", "ca/apt-mirrors.sh", "start"},
    ]


def test_images_are_made_through_the_proxy_and_nobody_sees_its_password(
    programs: Programs, building: Callable[..., Settings]
) -> None:
    settings = building(
        f"{ARCHIVE}\n[downloads]\nhttp_proxy = 'http://proxy.example:3128'",
        secrets="[downloads]\nproxy_credentials = 'me:correct-horse'",
    )
    given: dict[str, dict[str, str]] = {}

    def note(argv: list[str], *, env: dict[str, str], **_: object) -> str:
        given[argv[0]] = env
        return ""

    programs.answers |= {"docker build": note, "mmdebstrap": note}
    archive_of(settings, Reporter(quiet=True))
    (command,) = programs.called("docker build")
    assert " --build-arg http_proxy --build-arg https_proxy --build-arg no_proxy " in command
    assert not any("correct-horse" in call for call in programs.calls)
    assert {env["https_proxy"] for env in given.values()} == {"http://me:correct-horse@proxy.example:3128"}
    assert set(given) == {"docker", "mmdebstrap"}


def test_an_archive_that_is_not_complete_is_not_there(
    programs: Programs, building: Callable[..., Settings]
) -> None:
    def save(argv: list[str], **_: object) -> str:
        Path(argv[argv.index("--output") + 1]).write_text("half an im")
        raise failed("write: no space left on device")

    programs.answers["docker save"] = save
    with pytest.raises(HubwrightError, match="the disk is full"):
        archive_of(building(), Reporter(quiet=True))
    assert [path.name for path in cache_folder().iterdir()] == ["lock"]


def test_old_archives_go(programs: Programs, building: Callable[..., Settings]) -> None:  # noqa: ARG001
    cache_folder().mkdir()
    for age in range(5):
        old = cache_folder() / f"notebook-{age}.tar"
        old.touch()
        os.utime(old, (0, 1000 - age))
    other = cache_folder() / "other-0.tar"
    other.touch()
    os.utime(other, (0, 0))
    new = archive_of(building(), Reporter(quiet=True))
    assert other.exists()
    assert {path.name for path in cache_folder().glob("notebook-*.tar")} == {
        new.name,
        "notebook-0.tar",
        "notebook-1.tar",
    }


def test_a_build_that_fails_shows_its_last_lines(
    programs: Programs, building: Callable[..., Settings]
) -> None:
    programs.answers["docker build"] = failed("Step 4/9\nE: Unable to locate package pyhton3")
    with pytest.raises(HubwrightError, match="Unable to locate package pyhton3"):
        archive_of(building(), Reporter(quiet=True))
    assert not programs.called("docker save")


def test_what_is_not_there_is_named(programs: Programs, building: Callable[..., Settings]) -> None:
    settings = building("[downloads]\nca_certificates = ['gone.pem']")
    with pytest.raises(SettingsError, match=r"gone\.pem: cannot be read: No such file"):
        archive_of(settings, Reporter(quiet=True))
    (settings.root / "notebook" / "Dockerfile").unlink()
    with pytest.raises(SettingsError, match="notebook: has no Dockerfile"):
        archive_of(settings, Reporter(quiet=True))
    assert programs.calls == []


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "Docker does not answer"),
        ("failed to connect to the docker API: is the docker daemon running?", "Docker does not answer"),
        ("permission denied while trying to connect to unix:///var/run/docker.sock", "may not use Docker"),
        ("write /blob: no space left on device", "the disk is full"),
    ],
)
def test_usual_obstacles_are_told_as_such(output: str, what: str) -> None:
    error = explain_docker(output)
    assert error is not None
    assert what in str(error)
    assert error.hint


def test_other_words_of_docker_are_passed_on() -> None:
    assert explain_docker("Error response from daemon: no such image") is None


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HUBWRIGHT_CACHE": "/big/disk", "XDG_CACHE_HOME": "/x"}, "/big/disk"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/hubwright"),
        ({"HOME": "/h"}, "/h/.cache/hubwright"),
        ({"HUBWRIGHT_CACHE": "big"}, "/here/big"),
        ({"XDG_CACHE_HOME": "big"}, "/here/big/hubwright"),
    ],
)
def test_the_cache_is_the_machines(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], folder: str
) -> None:
    for name in ("HUBWRIGHT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.getcwd", lambda: "/here")
    assert cache_folder() == Path(folder)
