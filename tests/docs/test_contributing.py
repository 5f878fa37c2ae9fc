"""The pages for contributors, followed step by step in a copy of the project.

A fenced block with `file=` is a new file, or a change of one where its language is diff; one with `run` is a
command. These tests start processes, so they stand beside tests/unit and not in it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGES = PROJECT / "docs" / "contributing"
FOLDERS = ("docs", "images", "provision", "roles", "services", "tests")
BLOCK = re.compile(r"^```(\w+) (?:file=(\S+)|(run))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIME_OUT = 300  # seconds, for one command


@dataclass(frozen=True)
class Step:
    """One block of a page. `file` is empty for commands."""

    language: str
    file: str
    text: str


def steps(page: str) -> Iterator[Step]:
    for language, file, _, text in BLOCK.findall(page):
        yield Step(language, file, text)


def changed(text: str, diff: str) -> str:
    """A text with one change. Its lines have to be there once: a page must say exactly where."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] != "+")
    after = "".join(line[1:] for line in lines if line[0] != "-")
    places = [found.start() for found in re.finditer(f"^{re.escape(before)}", text, re.MULTILINE)]
    assert len(places) == 1, f"these lines are there {len(places)} times:\n{before}"
    return text[: places[0]] + after + text[places[0] + len(before) :]


class Copy:
    """A copy of the project, in which commands run with this environment's programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FOLDERS:  # with what Python has compiled, which is found by a source's time and size
            shutil.copytree(PROJECT / name, folder / name)
        for path in PROJECT.iterdir():
            if path.is_file() and path.name not in ("site.toml", "secrets.toml"):
                shutil.copy(path, folder)
        (folder / ".venv").symlink_to(sys.prefix)

    def follow(self, page: str) -> None:
        for step in steps((PAGES / page).read_text(encoding="utf-8")):
            path = self.folder / step.file
            if not step.file:
                # `make setup` would look for programs of this computer, and make the .venv that is there.
                self.run(step.text.replace("make ", "make --assume-old=setup "))
            elif step.language == "diff":
                path.write_text(changed(path.read_text(encoding="utf-8"), step.text), encoding="utf-8")
            else:
                assert not path.exists(), f"{step.file} is there already"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text, encoding="utf-8")

    def run(self, script: str, code: int = 0) -> str:
        """The output of a few lines of shell, which must end with this exit code."""
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "HUBWRIGHT_CONFIG": "hub.toml"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIME_OUT,
            check=False,
        )
        assert done.returncode == code, f"{script}\n{done.stdout}"
        return done.stdout

    def python(self, code: str) -> str:
        return self.run(f".venv/bin/python -c '{code}'").strip()

    def hubwright(self, words: str, code: int = 0) -> str:
        return self.run(f".venv/bin/python -c 'from provision.cli import main; main()' {words}", code)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "project")


def test_a_role(copy: Copy) -> None:
    copy.follow("add-a-role.md")
    names = copy.python("import roles; print(*roles.SHIPPED.names)").split()
    assert names.index("build_cache") == names.index("notebook_image") + 1
    page = (copy.folder / "docs/reference/hosts.md").read_text(encoding="utf-8")
    assert "| `hubwright-build-cache.timer` | build_cache | the clean-up after image builds |" in page
    copy.run(
        ".venv/bin/ruff check roles tests/unit/roles; .venv/bin/ruff format --check roles tests/unit/roles"
    )


def test_a_resource(copy: Copy) -> None:
    copy.follow("add-a-resource.md")
    kinds = copy.python("from provision.agent.resources import KINDS; print(*KINDS)").split()
    assert "Link" in kinds
    copy.run(".venv/bin/ruff check provision/agent tests/unit/provision/agent")


def test_a_setting(copy: Copy) -> None:
    copy.follow("add-a-setting.md")
    assert "dns " in copy.hubwright("config explain network")
    page = (copy.folder / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert "| `dns` | Addresses of resolvers for notebooks." in page
    description = copy.folder / "hub.toml"
    shipped = description.read_text(encoding="utf-8")
    description.write_text(f"{shipped}\n[network]\ndns = ['resolver']\n", encoding="utf-8")
    assert "network.dns" in copy.hubwright("config check", code=2)
    description.write_text(f"{shipped}\n[network]\ndsn = ['10.0.0.53']\n", encoding="utf-8")
    assert "did you mean 'dns'?" in copy.hubwright("config check", code=2)
    copy.run(".venv/bin/ruff check provision/settings roles tests/unit/roles")


@pytest.mark.parametrize(
    ("text", "diff", "expected"),
    [
        ("a\nb\nc\n", " b\n+x\n", "a\nb\nx\nc\n"),
        ("a\nb\nc\n", "-b\n+x\n c\n", "a\nx\nc\n"),
        ("a\nb\na\n", " a\n+x\n", None),
        ("a\n", " b\n+x\n", None),
        ("  b\n", " b\n+x\n", None),
    ],
)
def test_a_change_fits_in_one_place_only(text: str, diff: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(AssertionError, match="times"):
            changed(text, diff)
    else:
        assert changed(text, diff) == expected
