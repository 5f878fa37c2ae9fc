"""The project's commands as an operator types them, on settings of a test's own."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from provision.settings import read_toml

PROJECT = Path(__file__).parents[2]
PROGRAMS = PROJECT / ".venv" / "bin"
COMMAND_TIMEOUT = 600  # seconds until a command that does not end fails its test
SCREEN = 24  # lines


@dataclass(frozen=True)
class Done:
    """The end of a command: its exit code and output."""

    command: str
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.command}: exit code {self.code}\n{self.out}\n{self.err}"

    @property
    def unchanged(self) -> bool:
        """True for an apply that had nothing to change."""
        return self.code == 0 and "0 changed, everything holds" in self.err

    def says(self, *words: str) -> None:
        """Fail unless the command named all of these on one screen, without a traceback."""
        for word in words:
            assert word in self.err, f"nothing of {word!r} in\n{self}"
        assert "Traceback" not in self.err
        explained = self.err[self.err.index("error: ") :]
        assert " next: " in explained
        assert len(explained.splitlines()) <= SCREEN


@dataclass(frozen=True)
class Operator:
    """An operator with a folder that holds hub.toml and site.toml."""

    folder: Path
    hub: Mapping[str, Mapping[str, Any]]
    """The contents of hub.toml."""
    patience: float = COMMAND_TIMEOUT

    @property
    def config(self) -> Path:
        return self.folder / "hub.toml"

    @property
    def state(self) -> Path:
        return self.folder / ".hubwright"

    @property
    def key(self) -> Path:
        """The private key that machines of the tests accept."""
        return self.state / "ssh" / "id"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def environment(self) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("HUBWRIGHT")}
        cache = os.environ.get("HUBWRIGHT_CACHE")
        return {
            **ours,
            **({"HUBWRIGHT_CACHE": cache} if cache else {}),
            "HUBWRIGHT_CONFIG": str(self.config),
            "HUBWRIGHT_KNOWN_HOSTS": str(self.known_hosts),
            "VAGRANT_DOTFILE_PATH": str(self.state / "vagrant"),
        }

    def hubwright(self, *arguments: str, code: int = 0) -> Done:
        return self._run(str(PROGRAMS / "hubwright"), *arguments, code=code)

    def fab(self, *arguments: str, code: int = 0) -> Done:
        return self._run(str(PROGRAMS / "fab"), *arguments, code=code)

    def vagrant(self, *arguments: str, code: int = 0) -> Done:
        return self._run("vagrant", *arguments, code=code)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Run]:
        """A `hubwright` command that runs during the block, and is killed after it if it has not ended."""
        argv = [str(PROGRAMS / "hubwright"), "--verbose", *arguments]
        with subprocess.Popen(
            argv,
            cwd=PROJECT,
            env=self.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                yield Run(process)
            finally:
                process.kill()

    @contextmanager
    def changed(self, **sections: Mapping[str, Any]) -> Iterator[None]:
        """hub.toml with these keys changed, while the block runs."""
        merged = {
            name: {**self.hub.get(name, {}), **sections.get(name, {})} for name in {*self.hub, *sections}
        }
        self.write(merged)
        try:
            yield
        finally:
            self.write(self.hub)

    @contextmanager
    def on_site(self, **sections: Mapping[str, Any]) -> Iterator[None]:
        """site.toml, which is laid over hub.toml, with these keys changed, while the block runs."""
        site = self.folder / "site.toml"
        before = site.read_text(encoding="utf-8")
        found = read_toml(site)
        merged = {name: {**found.get(name, {}), **keys} for name, keys in sections.items()}
        site.write_text(tomli_w.dumps({**found, **merged}), encoding="utf-8")
        try:
            yield
        finally:
            site.write_text(before, encoding="utf-8")

    def write(self, hub: Mapping[str, Any]) -> None:
        self.config.write_text(tomli_w.dumps(hub), encoding="utf-8")

    def _run(self, *argv: str, code: int) -> Done:
        done = subprocess.run(
            argv,
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.patience,
            check=False,
        )
        outcome = Done(" ".join([Path(argv[0]).name, *argv[1:]]), done.returncode, done.stdout, done.stderr)
        assert outcome.code == code, f"{code} was expected of {outcome}"
        return outcome


class Run:
    """A command in progress. Its progress is read from standard error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def wait_for(self, pattern: str) -> None:
        """Wait until a line matches; fail when the command ends before."""
        for line in self.process.stderr or ():
            self.lines.append(line)
            if re.search(pattern, line):
                return
        pytest.fail(f"it ended before {pattern!r}:\n{''.join(self.lines[-SCREEN:])}")

    def kill(self) -> None:
        """Kill it with SIGKILL: it cannot clean up."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Wait until it ends. Returns the exit code."""
        self.lines += self.process.stderr or ()
        return self.process.wait(COMMAND_TIMEOUT)
