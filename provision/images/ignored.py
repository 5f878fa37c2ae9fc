"""Docker's rules for .dockerignore: which files of a folder are no part of its build context.

These are the rules of moby/patternmatcher, which the engine's own command uses. docker-py's version of them
ignores case, and does not apply a `**` that matches a parent folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from provision.errors import SettingsError

BYTE_ORDER_MARK = "\ufeff"
SPECIAL = frozenset(".+()|{}$")  # in regular expressions, and plain characters for Docker


@dataclass(frozen=True)
class Pattern:
    """A line of the file. `exception`: what matches it is sent, though an earlier line leaves it out."""

    expression: re.Pattern[str]
    exception: bool


class Ignored:
    """The patterns of a file, in their order: of those that match, the last one decides."""

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self._patterns = tuple(patterns)

    @property
    def has_exceptions(self) -> bool:
        return any(pattern.exception for pattern in self._patterns)

    def __contains__(self, path: str) -> bool:
        """True when a path relative to the folder is left out, by itself or with a parent folder."""
        names = path.split("/")
        heads = ["/".join(names[: count + 1]) for count in range(len(names))]
        left_out = False
        for pattern in self._patterns:
            if pattern.exception == left_out and any(map(pattern.expression.match, heads)):
                left_out = not left_out
        return left_out


def parse(text: str, where: str) -> Ignored:
    """The patterns of a file's text. Raises SettingsError for a line that Docker would refuse."""
    patterns = []
    for number, line in enumerate(text.removeprefix(BYTE_ORDER_MARK).split("\n"), 1):
        pattern = line.strip()
        if not pattern or line.startswith("#"):
            continue
        exception = pattern.startswith("!")
        pattern = pattern.removeprefix("!").strip()
        try:
            if not pattern:
                raise ValueError("an exception needs a pattern")
            patterns.append(Pattern(re.compile(expression(_clean(pattern)), re.DOTALL), exception))
        except (ValueError, re.error):
            raise SettingsError(
                f"{line.strip()!r} is no pattern that Docker knows",
                where=f"{where}:{number}",
                hint="a pattern is a path with *, ?, [a-z] or **, after ! for an exception",
            ) from None
    return Ignored(patterns)


def _clean(pattern: str) -> str:
    """A pattern without slashes at its ends, `.` and `..`: all patterns are relative to the folder."""
    cleaned = posixpath.normpath(re.sub("/+", "/", pattern))
    return cleaned[1:] if cleaned.startswith("/") and len(cleaned) > 1 else cleaned


def expression(pattern: str) -> str:
    """The regular expression of a cleaned pattern, for a complete path."""
    rest = pattern[2:]
    if pattern.startswith("**") and not set(rest) & set("*?[]\\"):  # then it is the end of a path
        start = "(.*/)?" if rest.startswith("/") else ".*"
        return f"{start}{re.escape(rest.removeprefix('/'))}\\Z"
    return "".join(_parts(pattern)) + r"\Z"


def _parts(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        letter, rest = pattern[at], pattern[at + 1 :]
        at += 1
        if letter == "*" and rest.startswith("*"):
            at += 2 if rest.startswith("*/") else 1  # `**/` is any number of folders, none included
            yield "(.*/)?" if at < len(pattern) else ".*"
        elif letter == "*":
            yield "[^/]*"
        elif letter == "?":
            yield "[^/]"
        elif letter == "\\":
            if not rest:
                raise ValueError("nothing is escaped")
            yield re.escape(rest[0])
            at += 1
        elif letter == "[":
            end = _end_of_class(pattern, at)
            yield "[" + pattern[at:end].replace("[", r"\[") + "]"
            at = end + 1
        else:
            yield f"\\{letter}" if letter in SPECIAL or letter == "]" else letter


def _end_of_class(pattern: str, start: int) -> int:
    """The place of the bracket that ends a class. It has at least one character: Docker refuses `[]`."""
    at = start + (1 if pattern[start : start + 1] == "^" else 0)
    begin = at
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    if at >= len(pattern) or at == begin:
        raise ValueError("a class without an end")
    return at
