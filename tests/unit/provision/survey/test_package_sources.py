from __future__ import annotations

import pytest

from provision.survey.package_sources import (
    Archive,
    Source,
    conda_settings,
    find_archive,
    first_mirror,
    mirror_list,
    npm_registry,
    parse_sources,
    pip_index,
    registry_mirrors,
    unusable,
)

DEBIAN = "http://deb.example/debian"


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("deb http://deb.example/debian bookworm main", Source(DEBIAN, "bookworm", ("main",))),
        ("deb  http://a.example/\tx  main contrib", Source("http://a.example", "x", ("main", "contrib"))),
        ("deb [arch=amd64 signed-by=/k] http://a.example x y # z", Source("http://a.example", "x", ("y",))),
        ("deb http://packages.example ./", Source("http://packages.example", "./", ())),
        ("deb-src http://deb.example/debian bookworm main", None),
        ("# deb http://deb.example/debian bookworm main", None),
        ("", None),
        ("nonsense", None),
    ],
)  # fmt: skip
def test_lines(line: str, source: Source | None) -> None:
    assert parse_sources({"sources.list": f"\n{line}\n"}) == ([source] if source else [])


STANZA = """\
Types: deb
URIs: http://a.example
Suites: x
Components: y
"""
UPDATES = """\
Types: deb
# an old address
URIs: http://deb.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k.gpg
"""
FOLDED = """\
types: deb deb-src
uris:
 http://a.example/
 http://b.example
suites: noble
components: main
 universe
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (STANZA, [Source("http://a.example", "x", ("y",))]),
        (UPDATES, [Source(DEBIAN, suite, ("main",)) for suite in ("bookworm", "bookworm-updates")]),
        (FOLDED, [Source(f"http://{host}.example", "noble", ("main", "universe")) for host in "ab"]),
        (f"{STANZA}\n\n{STANZA}", [Source("http://a.example", "x", ("y",))] * 2),
        ("Types: deb\nURIs: http://a.example\nSuites: ./\n", [Source("http://a.example", "./", ())]),
        (f"Enabled: no\n{STANZA}", []),
        (STANZA.replace("deb", "deb-src"), []),
        ("# Types: deb\n", []),
    ],
)
def test_stanzas(text: str, found: list[Source]) -> None:
    assert parse_sources({"debian.sources": text}) == found


@pytest.mark.parametrize(
    ("lines", "archive"),
    [
        (["http://d.example bookworm main"], Archive("http://d.example", "bookworm", "main")),
        (
            [
                "http://third.example bookworm stable",
                "http://d.example bookworm main",
                "http://d.example bookworm contrib",
                "http://d.example bookworm-updates main",
                "http://s.example bookworm-security main",
            ],
            Archive("http://d.example", "bookworm", "contrib main", "http://s.example"),
        ),
        (["cdrom:[] bookworm main", "https://d.x bookworm main"], Archive("https://d.x", "bookworm", "main")),
        (["mirror+file:/etc/apt/mirrors.txt bookworm main"], None),
        (["http://d.example trixie main"], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_archive_of_the_distribution(lines: list[str], archive: Archive | None) -> None:
    sources = parse_sources({"sources.list": "\n".join(f"deb {line}" for line in lines)})
    assert find_archive(sources, "bookworm") == archive


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("mirror+file:/etc/apt/mirrors.txt", "/etc/apt/mirrors.txt"),
        ("mirror+file:///etc/apt/mirrors/debian.list", "/etc/apt/mirrors/debian.list"),
        ("http://deb.example/debian", None),
    ],
)
def test_mirror_lists(uri: str, path: str | None) -> None:
    assert mirror_list(uri) == path


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("# near\n\nhttps://a.example/debian\tpriority:1\nhttps://b.example\n", "https://a.example/debian"),
        ("", ""),
    ],
)
def test_the_first_mirror(text: str, url: str) -> None:
    assert first_mirror(text) == url


@pytest.mark.parametrize(
    ("texts", "index"),
    [
        ([], None),
        (["[global]\ncert = /ca.crt\n"], None),
        (["[global]\nindex-url = https://a.example/simple\n"], "https://a.example/simple"),
        (["[global]\nindex-url = https://a.example\n", "[global]\nindex-url = https://b.example\n"], "https://b.example"),
        (["[global]\nindex-url = https://a.example\n[install]\nindex-url = https://b.example\n"], "https://b.example"),
        (["[global]\nextra-index-url = file:///opt/pypi\n"], None),
        (["no ini file at all"], None),
    ],
)  # fmt: skip
def test_pip(texts: list[str], index: str | None) -> None:
    assert pip_index(texts) == index


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("registry=https://n.example/\n", "https://n.example/"),
        ("fund=false\nregistry = https://n.example\n", "https://n.example"),
        ("@group:registry=https://n.example\n", None),
        ("# registry=https://n.example\n", None),
    ],
)
def test_npm(text: str, registry: str | None) -> None:
    assert npm_registry([text]) == registry


@pytest.mark.parametrize(
    ("text", "mirrors"),
    [
        ("null\n", ()),
        ("[]\n", ()),
        ("Error", ()),
        ('["https://r.example/", "http://10.0.0.5:5000"]', ("https://r.example", "http://10.0.0.5:5000")),
        ('["http://localhost:5000", "https://r.example/a/path"]', ()),
    ],
)
def test_docker(text: str, mirrors: tuple[str, ...]) -> None:
    assert registry_mirrors(text) == mirrors


@pytest.mark.parametrize(
    ("texts", "alias", "channels"),
    [
        ([], None, ()),
        (["channels:\n  - conda-forge\n  - defaults\n"], None, ()),
        (["channel_alias: https://c.example/conda/\n"], "https://c.example/conda", ()),
        (["channels: [https://c.example/x/, conda-forge]\n"], None, ("https://c.example/x",)),
        (["channels: [https://a.example]", "channels: [https://b.example]"], None, ("https://b.example",)),
        (["channels: [https://a.example]", "ssl_verify: false"], None, ("https://a.example",)),
        (["channels: [https://me:secret@a.example, file:///srv/conda]"], None, ()),
        (["channel_alias: http://localhost:8080"], None, ()),
        (["channels: {", "just text", ""], None, ()),
    ],
)
def test_conda(texts: list[str], alias: str | None, channels: tuple[str, ...]) -> None:
    assert conda_settings(texts) == (alias, channels)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://pypi.example/simple", ""),
        ("http://10.0.0.5:8081/repository/pypi/simple", ""),
        ("file:///opt/pypi", "only this computer"),
        ("http://localhost:3141/root/pypi", "only this computer"),
        ("https://me:secret@pypi.example/simple", "a password"),
        ("https://token@pypi.example/simple", "a password"),
    ],
)
def test_what_hosts_cannot_use(url: str, reason: str) -> None:
    assert reason in unusable(url)
    assert bool(unusable(url)) == bool(reason)
