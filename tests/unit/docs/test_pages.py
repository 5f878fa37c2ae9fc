"""The pages of docs: links that lead somewhere, a way to each page, and pages that are the program's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from provision.agent import events
from provision.cli import cli
from provision.cli import reference as commands
from provision.report.outcomes import HostStatus, Outcome
from provision.report.reporter import Reporter
from provision.report.run import RunReport
from provision.settings import Settings, read_toml
from provision.settings import markdown as settings
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
        if page.name != "CHANGELOG.md"  # tells of earlier versions
        for place in PLACE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        if not (PROJECT / place).exists()
    }
    assert lost == set()


def known_options(command: click.Command) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"-h", "--help"}


def wrong_commands(text: str) -> Iterator[str]:
    """The calls of `hubwright` in a page that the program would refuse."""
    for line in re.findall(r"(?:^ {4}|`)(?:\S*/)?hubwright ([a-z-][^`\n#|;]*)", text, re.MULTILINE):
        words = line.split()
        group: click.Group = cli
        while words and words[0].startswith(("-", "…")):  # the program's own options, or any command
            del words[0]
        command = group.commands.get(words[0]) if words else None
        if isinstance(command, click.Group) and words[1:]:
            group, command = command, command.commands.get(words[1])
        if words and command is None:
            yield f"hubwright {line}: there is no such command"
        elif command is not None and not command.context_settings:  # other commands pass words on
            options = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
            yield from (f"hubwright {line}: {name}" for name in options - known_options(command))


def wrong_keys(text: str) -> Iterator[str]:
    """The keys of settings in a page, written as `[section] key`, that the schema does not have."""
    for section, key in re.findall(r"`\[(\w+)\] (\w+)", text):
        if not re.search(rf"^## \[{section}\].*?^\| `{key}` \|", settings(), re.MULTILINE | re.DOTALL):
            yield f"[{section}] {key}"


def test_pages_name_commands_and_keys_that_exist() -> None:
    wrong = [
        f"{page.relative_to(PROJECT)}: {fault}"
        for page in pages()
        for find in (wrong_commands, wrong_keys)
        for fault in find(page.read_text(encoding="utf-8"))
        if "add-a-" not in page.name  # tells of keys that do not exist yet
        and page.name != "commands.md"  # is the program's own
    ]
    assert wrong == []


def test_examples_of_settings_have_keys_that_exist(tmp_path: Path) -> None:
    example, seen = tmp_path / "example.toml", 0
    for page in pages():
        for text in re.findall(
            r"^ *```toml\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            example.write_text(text, encoding="utf-8")
            keys = [f"`[{section}] {key}`" for section, table in read_toml(example).items() for key in table]
            assert list(wrong_keys(" ".join(keys))) == [], page.name
            seen += len(keys)
    assert seen > 30


def test_the_example_of_the_readme_is_valid(hub: Callable[..., Settings]) -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(\[hub\].*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert hub(example).hub.title == "Try our software"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("    hubwright aply -H host", ["hubwright aply -H host: there is no such command"]),
        ("`hubwright config shwo`", ["hubwright config shwo: there is no such command"]),
        ("`hubwright plan --dif`", ["hubwright plan --dif: --dif"]),
        ("`[server] memry`", ["[server] memry"]),
        ("`[vm] memory = 1`, and `.venv/bin/hubwright -vv plan -H host --only hub`", []),
    ],
)
def test_a_command_or_key_that_is_not_there_is_named(text: str, faults: list[str]) -> None:
    assert [*wrong_commands(text), *wrong_keys(text)] == faults


def rows(page: Path, heading: str) -> dict[str, list[str]]:
    """The tables below a heading: of each row its first names, and the names in the cell after it."""
    text = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = {}
    for line in re.findall(r"^\|.*", text, re.MULTILINE):
        first, second, *_ = (re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:])
        found.update(dict.fromkeys(first, second))
    return found


def test_events_and_statuses_are_those_of_the_program() -> None:
    told = rows(DOCS / "reference" / "output.md", "Events")
    known = {name: [field.name for field in fields(kind)] for name, kind in events.KNOWN.items()}
    assert {name: keys for name, keys in told.items() if name in known} == known
    assert set(told) - set(known) == {str(status) for status in events.Status}


def test_keys_of_json_are_those_of_the_program() -> None:
    report = RunReport(Reporter(quiet=True), "plan", 1)
    (printed,) = report.as_json([Outcome("host")])
    page = DOCS / "reference" / "output.md"
    assert set(rows(page, "JSON")) == set(printed)
    text = page.read_text(encoding="utf-8")
    assert [name for name in (*vars(HostStatus("host")), "healthy") if f"`{name}`" not in text] == []


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
