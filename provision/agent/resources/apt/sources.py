"""The archives that apt takes packages from."""

from __future__ import annotations

import difflib
import glob
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ..base import Change, CommandFailed, Machine, Problem, Resource
from ..fs import read_text, write_atomically
from .packages import one_at_a_time, run_apt
from .words import clock_advice

APT = "/etc/apt"
OS_RELEASE = "/etc/os-release"
COMPONENTS = {"main", "contrib", "non-free", "non-free-firmware", "universe", "restricted", "multiverse"}
OWN_KEYS = re.compile(r"/(debian|ubuntu)-archive-")

_LINE = re.compile(
    r"^[ \t]*deb(?:-src)?[ \t]+(?:\[(?P<options>[^\]\n]*)\][ \t]+)?"
    r"(?P<uris>\S+)[ \t]+(?P<suites>\S+)(?P<components>[^#\n]*)",
    re.MULTILINE,
)
_STANZA = re.compile(r"(?:^[^\n]*\S[^\n]*$\n?)+", re.MULTILINE)
_FIELD = re.compile(r"^(?P<name>[A-Za-z-]+):[ \t]*(?P<value>[^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A line or stanza of apt's sources. `start` and `end`: the place of its URIs in the text."""

    start: int
    end: int
    uris: str
    suites: str
    components: tuple[str, ...]
    signed_by: str = ""

    @property
    def purpose(self) -> str:
        return " ".join((self.suites, *self.components))


@dataclass(frozen=True)
class AptSources(Resource):
    """Mirrors in place of the distribution's archives, in all files that name those; other sources stay.

    `archives`: an archive's name, with which its address ends (debian, debian-security, ubuntu,
    ubuntu-ports), and the mirror's address. A mirror is asked for its lists before a file is changed.
    """

    archives: dict[str, str] = field(hash=False)

    @property
    def id(self) -> str:
        return "apt-sources"

    def check(self, machine: Machine) -> Change | None:
        changed = self._changed(machine)
        if not changed:
            return None
        diffs = [line for path, text in changed.items() for line in _diff(path, text)]
        return Change(f"take packages from {', '.join(sorted(set(self._wanted.values())))}", "\n".join(diffs))

    def apply(self, machine: Machine) -> None:
        changed = self._changed(machine)
        self._ask_mirrors(machine, changed)
        claims = machine.claims(self)
        before: dict[str, dict[str, str]] = {path: {} for path in changed} | claims.get("before", {})
        ours: dict[str, str] = claims.get("ours", {})
        for path in changed:
            for entry in _entries(path):
                if entry.uris not in ours and self._name(claims, entry) in self._wanted:
                    before[path][entry.purpose] = entry.uris
        machine.claim(self, before=before, ours=ours | {uri: name for name, uri in self._wanted.items()})
        for path, text in changed.items():
            write_atomically(path, text, stat.S_IMODE(os.stat(path).st_mode))

    def remove(self, machine: Machine) -> str | None:
        claims = machine.claims(self)
        for path in claims.get("before", {}):
            present = read_text(path)
            text = _replaced(path, present, partial(_earlier, claims, path))
            if present and text != present:
                write_atomically(path, text, stat.S_IMODE(os.stat(path).st_mode))
        return None

    @property
    def folders(self) -> tuple[str, ...]:
        return APT, f"{APT}/sources.list.d"

    @property
    def _wanted(self) -> dict[str, str]:
        """The mirrors that concern this distribution."""
        here = re.search(r"^ID=\"?(\w+)", read_text(OS_RELEASE), re.MULTILINE)
        return {name: uri for name, uri in self.archives.items() if here and name.split("-")[0] == here[1]}

    def _changed(self, machine: Machine) -> dict[str, str]:
        """Path → text of the files that should be different."""
        claims, found, known = machine.claims(self), {}, False
        for path in _files():
            present = read_text(path)
            text = _replaced(path, present, partial(self._mirror, claims, path))
            known = known or any(self._name(claims, entry) in self._wanted for entry in _entries(path))
            if text != present:
                found[path] = text
        if self._wanted and not known:
            raise Problem(
                f"apt's sources here name none of the archives {', '.join(self._wanted)}",
                f"correct {APT}/sources.list, or remove [downloads] apt: the host then keeps its own",
            )
        return found

    def _mirror(self, claims: dict[str, Any], path: str, entry: Entry) -> str:
        name = self._name(claims, entry)
        return self._wanted[name] if name in self._wanted else _earlier(claims, path, entry)

    def _name(self, claims: dict[str, Any], entry: Entry) -> str:
        """The archive that an entry means: by its text, or because we wrote it."""
        ours: dict[str, str] = claims.get("ours", {}) | {uri: name for name, uri in self._wanted.items()}
        return ours.get(entry.uris) or archive_name(entry)

    def _ask_mirrors(self, machine: Machine, changed: dict[str, str]) -> None:
        """Raise Problem when a mirror does not have the lists for the changed files."""
        folder = machine.state("sources")
        machine.claim(self)  # creates the agent's folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, mode=0o700)
        try:
            for number, (path, text) in enumerate(changed.items()):
                with open(f"{folder}/{number}-{os.path.basename(path)}", "w", encoding="utf-8") as file:
                    file.write(_only(path, text, set(self._wanted.values())))
            machine.say("asking the mirrors for their package lists")
            options = [f"Dir::Etc::SourceParts={folder}", "Dir::Etc::SourceList=/dev/null"]
            options += ["APT::Get::List-Cleanup=false", "APT::Update::Error-Mode=any"]
            with one_at_a_time:
                flags = [word for option in options for word in ("-o", option)]
                run_apt(machine, ["apt-get", "update", "-q", *flags], interruptible=True)
        except CommandFailed as failure:
            raise Problem(
                f"a mirror does not give what this host needs; its sources stay as they are\n{failure.tail}",
                clock_advice(failure.output) or "check [downloads] apt, and that this host reaches it",
            ) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _files() -> list[str]:
    return [
        path
        for path in [f"{APT}/sources.list", *sorted(glob.glob(f"{APT}/sources.list.d/*"))]
        if path.endswith((".list", ".sources")) and os.path.isfile(path)
    ]


def _entries(path: str) -> list[Entry]:
    return list(entries(read_text(path), stanzas=path.endswith(".sources")))


def entries(text: str, *, stanzas: bool) -> Iterator[Entry]:
    """The entries of a file: `*.list` holds lines, `*.sources` holds stanzas; see sources.list(5)."""
    if not stanzas:
        for match in _LINE.finditer(text):
            signed_by = re.search(r"signed-by=(\S+)", match["options"] or "")
            yield Entry(
                *match.span("uris"),
                match["uris"],
                match["suites"],
                tuple(match["components"].split()),
                signed_by[1] if signed_by else "",
            )
        return
    for stanza in _STANZA.finditer(text):
        fields = {match["name"].lower(): match for match in _FIELD.finditer(stanza[0])}
        if "uris" not in fields or "suites" not in fields:
            continue
        value = {name: match["value"].strip() for name, match in fields.items()}
        if value.get("enabled", "yes").lower() == "no":
            continue
        start = stanza.start() + fields["uris"].start("value")
        yield Entry(
            start,
            start + len(fields["uris"]["value"].rstrip()),
            value["uris"],
            value["suites"],
            tuple(value.get("components", "").split()),
            value.get("signed-by", ""),
        )


def archive_name(entry: Entry) -> str:
    """The distribution's archive that an entry means; empty for an archive of others."""
    if not COMPONENTS.intersection(entry.components):
        return ""
    if entry.signed_by and not OWN_KEYS.search(entry.signed_by):
        return ""
    parts = urlsplit(entry.uris.split()[0])
    if parts.scheme in ("cdrom", "file", "copy") or "launchpad" in (parts.hostname or ""):
        return ""
    if parts.hostname == "security.debian.org":
        return "debian-security"
    return parts.path.rstrip("/").rpartition("/")[2].removesuffix(".list")


def _replaced(path: str, text: str, choose: Callable[[Entry], str]) -> str:
    """`text` with the result of `choose` in place of every entry's archive."""
    for entry in reversed(list(entries(text, stanzas=path.endswith(".sources")))):
        text = text[: entry.start] + choose(entry) + text[entry.end :]
    return text


def _only(path: str, text: str, uris: set[str]) -> str:
    """The lines or stanzas of `text` that name one of `uris`."""
    stanzas = path.endswith(".sources")
    found = [entry for entry in entries(text, stanzas=stanzas) if entry.uris in uris]
    blocks = (_STANZA if stanzas else re.compile(r"^.*$", re.MULTILINE)).finditer(text)
    kept = [b[0] for b in blocks if any(b.start() <= entry.start < b.end() for entry in found)]
    return "\n".join(kept) + "\n"


def _earlier(claims: dict[str, Any], path: str, entry: Entry) -> str:
    """The archive before ours: for the same suites and components, or else any, as these may be edited."""
    before = claims.get("before", {}).get(path, {})
    if entry.uris not in claims.get("ours", {}) or not before:
        return entry.uris
    earlier: str = before.get(entry.purpose) or next(iter(before.values()))
    return earlier


def _diff(path: str, text: str) -> list[str]:
    present = read_text(path).splitlines()
    return [path, *difflib.unified_diff(present, text.splitlines(), "now", "then", lineterm="", n=0)]
