"""Mirrors in apt's sources: in, changed, and out again, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.agent.resources import AptSources, Problem
from provision.agent.resources.apt.sources import Entry, archive_name, entries
from tests.support.fakes.host import SOURCES, Host
from tests.support.fakes.machine import FakeMachine

MIRROR = "http://mirror.example/debian"
SECURITY = "http://mirror.example/debian-security"

STANZAS = """\
Types: deb
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

# theirs
Types: deb
URIs: https://download.docker.com/linux/debian
Suites: bookworm
Components: stable
Signed-By: /etc/apt/keyrings/docker.asc

Types: deb deb-src
URIs:   http://deb.debian.org/debian-security/
Suites: bookworm-security
Components: main
"""


def test_lines_as_apt_reads_them() -> None:
    text = (
        "# deb http://off.example/debian bookworm main\n"
        "deb http://d.example/debian bookworm main contrib # mine\n"
        " deb-src [arch=amd64 signed-by=/k.gpg]  http://d.example/debian  bookworm main\n"
        "deb\n"
    )
    found = list(entries(text, stanzas=False))
    assert [(e.uris, e.suites, e.components, e.signed_by) for e in found] == [
        ("http://d.example/debian", "bookworm", ("main", "contrib"), ""),
        ("http://d.example/debian", "bookworm", ("main",), "/k.gpg"),
    ]
    assert all(text[e.start : e.end] == e.uris for e in found)


def test_stanzas_as_apt_reads_them() -> None:
    text = (
        f"{STANZAS}\nEnabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: x\nComponents: main\n"
    )
    found = list(entries(text, stanzas=True))
    assert [(e.uris, e.suites) for e in found] == [
        ("http://deb.debian.org/debian", "bookworm bookworm-updates"),
        ("https://download.docker.com/linux/debian", "bookworm"),
        ("http://deb.debian.org/debian-security/", "bookworm-security"),
    ]
    assert all(text[e.start : e.end] == e.uris for e in found)


@pytest.mark.parametrize(
    ("uris", "components", "signed_by", "name"),
    [
        ("http://deb.debian.org/debian", "main", "", "debian"),
        ("http://deb.debian.org/debian/ http://other/debian", "main", "", "debian"),
        ("http://deb.debian.org/debian", "main", "/usr/share/keyrings/debian-archive-keyring.gpg", "debian"),
        ("http://de.archive.ubuntu.com/ubuntu/", "universe", "", "ubuntu"),
        ("http://ports.ubuntu.com/ubuntu-ports", "main", "", "ubuntu-ports"),
        ("http://security.debian.org/", "main", "", "debian-security"),
        ("http://security.debian.org/debian-security", "main", "", "debian-security"),
        ("mirror+file:/etc/apt/mirrors/debian-security.list", "main", "", "debian-security"),
        ("https://download.docker.com/linux/debian", "stable", "", ""),
        ("https://download.docker.com/linux/debian", "main", "/etc/apt/keyrings/docker.asc", ""),
        ("https://ppa.launchpadcontent.net/group/ppa/ubuntu", "main", "", ""),
        ("cdrom:[Debian]/debian", "main", "", ""),
        ("file:/srv/debian", "main", "", ""),
    ],
)
def test_which_archive_an_entry_means(uris: str, components: str, signed_by: str, name: str) -> None:
    assert archive_name(Entry(0, 0, uris, "bookworm", tuple(components.split()), signed_by)) == name


@pytest.fixture
def files(host: Host) -> list[Path]:
    """Files of sources: lines, stanzas, and those of another archive."""
    folder = Path(host.path("/etc/apt/sources.list.d"))
    folder.mkdir()
    (folder / "debian.sources").write_text(STANZAS)
    (folder / "theirs.list").write_text(
        "deb [signed-by=/k.gpg] https://theirs.example/debian bookworm main\n"
    )
    (folder / "old.list.bak").write_text(SOURCES)
    return [folder.parent / "sources.list", *sorted(folder.iterdir())]


def converge(machine: FakeMachine, resource: AptSources) -> str:
    machine.looks.clear()
    change = resource.check(machine)
    if change is None:
        return ""
    resource.apply(machine)
    assert resource.check(machine) is None
    return change.diff


def texts(files: list[Path]) -> dict[str, str]:
    return {path.name: path.read_text() for path in files}


def test_mirrors_come_and_go(host: Host, files: list[Path]) -> None:
    before, machine = texts(files), FakeMachine(host)
    files[1].chmod(0o640)
    mirrors = AptSources({"debian": MIRROR, "debian-security": SECURITY, "ubuntu": "http://not.here/ubuntu"})
    diff = converge(machine, mirrors)
    assert "-URIs: http://deb.debian.org/debian\n+URIs: http://mirror.example/debian\n" in diff
    during = texts(files)
    assert during["sources.list"] == SOURCES.replace("deb.debian.org", "mirror.example")
    assert during["debian.sources"] == STANZAS.replace(
        "http://deb.debian.org/debian-security/", SECURITY
    ).replace("http://deb.debian.org/debian\n", f"{MIRROR}\n")
    assert {name for name in during if during[name] != before[name]} == {"sources.list", "debian.sources"}
    assert files[1].stat().st_mode & 0o777 == 0o640
    assert converge(machine, mirrors) == ""
    mirrors.remove(machine)
    assert texts(files) == before


def test_another_mirror_takes_the_place_of_the_first(host: Host, files: list[Path]) -> None:
    before, machine = texts(files), FakeMachine(host)
    converge(
        machine, AptSources({"debian": "http://one.example/a", "debian-security": "http://one.example/b"})
    )
    last = AptSources({"debian": "http://two.example/c"})
    converge(machine, last)
    during = "".join(texts(files).values())
    assert "one.example" not in during
    assert during.count("http://two.example/c") == 3
    assert "http://deb.debian.org/debian-security/" in during  # it is back
    last.remove(machine)
    assert texts(files) == before


def test_what_an_admin_changes_meanwhile_stays(host: Host, files: list[Path]) -> None:
    machine, mirrors = FakeMachine(host), AptSources({"debian": MIRROR})
    converge(machine, mirrors)
    upgraded = files[0].read_text().replace("bookworm", "trixie") + "deb http://theirs.example trixie main\n"
    files[0].write_text(upgraded)
    files[1].unlink()
    mirrors.remove(machine)
    assert files[0].read_text() == upgraded.replace("mirror.example", "deb.debian.org")
    assert not files[1].exists()


def test_a_host_that_uses_the_mirror_already_is_left_alone(host: Host) -> None:
    path = Path(host.path("/etc/apt/sources.list"))
    path.write_text(f"deb {MIRROR} bookworm main\n")
    machine, mirrors = FakeMachine(host), AptSources({"debian": MIRROR})
    assert mirrors.check(machine) is None
    mirrors.remove(machine)
    assert path.read_text() == f"deb {MIRROR} bookworm main\n"


def test_a_mirror_is_asked_before_anything_is_changed(host: Host, files: list[Path]) -> None:
    before, asked = texts(files), {}

    def update() -> str:
        folder = Path(host.path("/var/lib/hubwright/sources"))
        asked.update({path.name: path.read_text() for path in folder.iterdir()})
        raise host.fails("E: Failed to fetch http://mirror.example/debian/dists/bookworm/InRelease  404")

    host.script("apt-get", "update", answer=update)
    machine = FakeMachine(host)
    with pytest.raises(Problem, match="its sources stay as they are\nE: Failed to fetch") as caught:
        AptSources({"debian": MIRROR}).apply(machine)
    assert "[downloads] apt" in caught.value.hint
    assert texts(files) == before
    assert asked["0-sources.list"] == (f"deb {MIRROR} bookworm main\ndeb {MIRROR} bookworm-updates main\n")
    assert asked["1-debian.sources"].count("URIs:") == 1  # of others' archives, nothing is asked
    assert not Path(host.path("/var/lib/hubwright/sources")).exists()
    (command,) = host.ran("apt-get", "update")
    assert f"Dir::Etc::SourceParts={host.path('/var/lib/hubwright/sources')}" in command


def test_sources_that_name_no_known_archive_are_a_problem(host: Host) -> None:
    Path(host.path("/etc/apt/sources.list")).write_text("deb http://nexus.example/proxy bookworm main\n")
    with pytest.raises(Problem, match="name none of the archives debian, debian-security") as caught:
        AptSources({"debian": MIRROR, "debian-security": SECURITY}).check(FakeMachine(host))
    assert "[downloads] apt" in caught.value.hint


def test_mirrors_of_another_distribution_are_none_of_this_host(host: Host) -> None:
    Path(host.path("/etc/os-release")).write_text('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')
    assert AptSources({"debian": MIRROR}).check(FakeMachine(host)) is None
