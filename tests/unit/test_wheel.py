"""A wheel contains all that the program reads from the project."""

from __future__ import annotations

import re
from pathlib import Path

from provision.settings import read_toml

PROJECT = Path(__file__).parents[2]
READ = re.compile(r'PROJECT((?: / "[^"]+")+)')


def test_what_the_program_reads_is_in_the_wheel() -> None:
    hooks = read_toml(PROJECT / "pyproject.toml")["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    files = [Path(name) for name in hooks["custom"]["files"]]
    assert all((PROJECT / path).exists() for path in files)
    read = {
        Path(*re.findall(r'"([^"]+)"', found))
        for folder in ("provision", "roles")
        for path in (PROJECT / folder).rglob("*.py")
        for found in READ.findall(path.read_text(encoding="utf-8"))
    }
    assert len(read) > 8
    lost = {path for path in read if not any(file in (path, *path.parents) for file in files)}
    assert lost == set()


def test_one_file_knows_where_the_project_lies() -> None:
    knows = {
        path.relative_to(PROJECT).as_posix()
        for folder in ("provision", "roles")
        for path in (PROJECT / folder).rglob("*.py")
        if re.search(r"__file__\)(\.resolve\(\))?\.parents\[[2-9]\]", path.read_text(encoding="utf-8"))
    }
    assert knows <= {"provision/tools/project.py"}
