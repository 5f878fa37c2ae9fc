"""The pages of docs: links that lead somewhere, a way to each page, and pages that are the program's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision.cli import reference as commands
from roles import reference as hosts

PROJECT = Path(__file__).parents[3]
DOCS = PROJECT / "docs"
OWN = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(`{3,}).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
NAMED = re.compile(r"\bdocs/[\w./-]*\w")
CODE = ("provision", "roles", "services", "tests", "images", "benchmarks")
KINDS_OF_CODE = (".py", ".toml", ".j2", ".sh", ".ini", ".html", ".mjs")
PLACE = re.compile(r"`((?:benchmarks|images|provision|roles|services|tests)/[\w./-]+)`")
AT_THE_TOP = ("Makefile", "Vagrantfile", "hub.toml", "tox.ini", "fabfile.py", "jupyterhub_config.py")


def pages() -> list[Path]:
    return [*(PROJECT / name for name in OWN), *sorted(DOCS.rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have as targets of links."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {name.strip().replace(" ", "-") for name in plain}


def faults(page: Path, text: str) -> Iterator[str]:
    """The relative links of a page that lead nowhere."""
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists():
            yield f"{page.relative_to(PROJECT)}: {link}: there is no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{page.relative_to(PROJECT)}: {link}: the page has no such heading"


def sources() -> list[Path]:
    found = [PROJECT / name for name in AT_THE_TOP]
    for folder in CODE:
        found += [path for path in (PROJECT / folder).rglob("*") if path.suffix in KINDS_OF_CODE]
    return [path for path in found if "node_modules" not in path.parts]


def test_every_link_leads_somewhere() -> None:
    assert [fault for page in pages() for fault in faults(page, page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](nowhere.md)", "there is no such file"),
        ("[a](index.md#nothing)", "no such heading"),
        ("[a](#nothing)", "no such heading"),
        ("[a](index.md)", None),
        ("[a](https://example.org/x.md)", None),
        ("```\n[a](nowhere.md)\n```", None),
    ],
)
def test_a_link_that_leads_nowhere_is_named(text: str, fault: str | None) -> None:
    found = list(faults(DOCS / "index.md", text))
    assert [bool(fault and fault in line) for line in found] == ([True] if fault else [])


def test_pages_that_code_names_are_there() -> None:
    lost = {
        f"{path.relative_to(PROJECT)}: {name}"
        for path in sources()
        if path != Path(__file__)
        for name in NAMED.findall(path.read_text(encoding="utf-8", errors="replace"))
        if not (PROJECT / name).exists()
    }
    assert lost == set()


def test_places_in_the_project_that_pages_name_are_there() -> None:
    lost = {
        f"{page.relative_to(PROJECT)}: {place}"
        for page in pages()
        if page.name != "CHANGELOG.md"  # tells of what was
        for place in PLACE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        if not (PROJECT / place).exists()
    }
    assert lost == set()


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "index.md"
    linked = {
        (DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))
    }
    assert {page for page in DOCS.rglob("*.md") if page != index} <= linked


@pytest.mark.parametrize(
    ("page", "made"),
    [("commands", commands.markdown), ("hosts", hosts.markdown)],
)
def test_pages_made_from_the_program_are_up_to_date(page: str, made: Callable[[], str]) -> None:
    """`make docs` writes them again."""
    assert (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8") == made()
