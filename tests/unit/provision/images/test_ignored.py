"""Docker's rules for .dockerignore. The expected answers are those of moby/patternmatcher."""

from __future__ import annotations

import pytest

from provision.errors import SettingsError
from provision.images.ignored import parse


@pytest.mark.parametrize(
    ("text", "left_out", "sent"),
    [
        ("", "", "a .b"),
        ("# a\n\n  \n", "", "a"),
        (" # a\n", "", "a"),  # a comment begins in the first column; this is a pattern
        ("\ufeffa\r\nb\r\n", "a b", "c"),
        ("a", "a a/b a/b/c", "b/a A ab"),
        ("/a", "a a/b", "b/a"),
        ("a/", "a a/b", "b/a"),
        ("./a/../b", "b", "a"),
        ("//a//b", "a/b", "a b"),
        ("*.md", "x.md .md", "d/x.md"),
        ("*/*.md", "d/x.md", "x.md d/e/x.md"),
        ("?.py", "a.py", "ab.py .py d/a.py"),
        ("[a-c].py", "a.py c.py", "d.py"),
        ("[^a-c].py", "d.py", "a.py"),
        ("[!a].py", "a.py !.py", "b.py"),
        ("**/x", "x a/x a/b/x a/x/y", "ax"),
        ("**", "a a/b .c", ""),
        ("**x", "x ax a/bx a/x", "xa"),
        ("**x*", "x xa a/xb", "ax"),
        ("a/**", "a/b a/b/c", "a ab"),
        ("a**", "a ab a/b", "b"),
        ("a/**/b", "a/b a/x/b a/x/y/b a/b/z", "b ab"),
        ("**/*.pyc", "x.pyc a/b/x.pyc", "x.py"),
        ("a.b", "a.b", "axb"),
        (r"a\*b", "a*b", "axb"),
        ("a+(b)|{c}$", "a+(b)|{c}$", "aab"),
        ("*\n!keep", "a keep2", "keep keep/a"),
        ("a\n!a/b\na/b/c", "a a/x a/b/c", "a/b a/b/d"),
        ("!a\na", "a", ""),  # the last line that matches decides
        ("*\n! /a/ ", "b", "a a/c"),
        ("*.md\n!README*.md\nREADME-secret.md", "x.md README-secret.md", "README.md"),
        ("d\n!**/keep", "d d/x", "d/keep d/e/keep"),
        (".", "", "a .b"),
        ("..", "", "a"),
        ("/", "", "a"),
    ],
)
def test_paths_that_a_file_leaves_out(text: str, left_out: str, sent: str) -> None:
    ignored = parse(text, ".dockerignore")
    assert {path for path in (*left_out.split(), *sent.split()) if path in ignored} == set(left_out.split())


@pytest.mark.parametrize("line", ["!", "a[", "[]a]", "[z-a]", "a\\"])
def test_a_line_that_docker_refuses_is_named(line: str) -> None:
    with pytest.raises(SettingsError, match=r"^x/\.dockerignore:2: .* is no pattern") as caught:
        parse(f"ok\n{line}\n", "x/.dockerignore")
    assert "**" in caught.value.hint
