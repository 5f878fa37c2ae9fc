"""Files and functions stay short enough to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.unit.test_layers import PROJECT, parsed

MOST_OF_A_FILE = 400  # lines
MOST_OF_A_FUNCTION = 50  # lines, from its `def`: a table of cases above it is no part of it
PLACES = ("benchmarks", "images", "provision", "roles", "services", "tests")


def files() -> list[Path]:
    return [*PROJECT.glob("*.py"), *(path for place in PLACES for path in (PROJECT / place).rglob("*.py"))]


def functions(body: Iterable[ast.AST]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions among these statements, and within them. Expressions, which are most nodes, have none."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        for inner in ("body", "orelse", "finalbody", "handlers", "cases"):
            within = getattr(node, inner, None)
            if isinstance(within, list):
                yield from functions(within)


def too_long(name: str, text: str, tree: ast.Module) -> Iterator[str]:
    """The names of a file, and of functions in it, that have too many lines, with their number."""
    if (lines := len(text.splitlines())) > MOST_OF_A_FILE:
        yield f"{name}: {lines} lines"
    for node in functions(tree.body):
        assert node.end_lineno is not None
        if (lines := node.end_lineno - node.lineno + 1) > MOST_OF_A_FUNCTION:
            yield f"{name}:{node.name}: {lines} lines"


def test_no_file_and_no_function_is_too_long_to_be_read() -> None:
    found: list[str] = []
    for path in files():
        name = path.relative_to(PROJECT).as_posix()
        found += too_long(name, path.read_text(encoding="utf-8"), parsed(path))
    assert found == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1\n" * 400, []),
        ("x = 1\n" * 401, ["a.py: 401 lines"]),
        ("def f():\n" + "    x = 1\n" * 49, []),
        ("def f():\n" + "    x = 1\n" * 50, ["a.py:f: 51 lines"]),
        ("class A:\n    async def f(self):\n" + "        x = 1\n" * 50, ["a.py:f: 51 lines"]),
        ("try:\n    pass\nexcept E:\n    def f():\n" + "        x = 1\n" * 50, ["a.py:f: 51 lines"]),
        ("@table(\n" + "    1,\n" * 60 + ")\ndef f():\n    x = 1\n", []),
    ],
)
def test_what_is_too_long_is_named(text: str, found: list[str]) -> None:
    assert [*too_long("a.py", text, ast.parse(text))] == found
