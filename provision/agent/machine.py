"""The host as resources see it: programs, cached answers, claims."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

from .channel import Channel
from .distributions import Distribution
from .events import Say
from .resources import Abandoned, CommandFailed, Problem, Resource
from .state import State

T = TypeVar("T")
R = TypeVar("R", bound=Resource)

PROGRESS_EVERY = 0.5  # seconds between two lines of a program's progress
LOOK_EVERY = 0.2  # seconds between two looks at a program that may be ended
TIME_TO_END = 5  # seconds for a program that was told to end


@dataclass
class Shared:
    """The data that all roles of one run share."""

    channel: Channel
    state: State
    resources: dict[str, Resource]
    options: Mapping[str, Any]
    distribution: Distribution
    cache: dict[str, Any] = field(default_factory=dict)
    reading: dict[str, threading.RLock] = field(default_factory=dict)
    """A lock for each name in `cache`: roles wait for the same answer, not for one another's programs."""
    lock: threading.RLock = field(default_factory=threading.RLock)


@dataclass(frozen=True)
class LocalMachine:
    """resources.Machine for one role of a run."""

    role: str
    shared: Shared

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        stdin: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        watch: bool = False,
        interruptible: bool = False,
    ) -> str:
        try:
            with subprocess.Popen(
                argv,
                stdin=stdin or (subprocess.PIPE if input is not None else subprocess.DEVNULL),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if watch else subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
                cwd=cwd,
                text=True,
                errors="replace",
                start_new_session=interruptible,
            ) as process:
                if interruptible:
                    threading.Thread(target=self._end_with_driver, args=(process,), daemon=True).start()
                if watch:
                    out, err = self._follow(process), ""
                else:
                    out, err = process.communicate(input)
        except FileNotFoundError:
            raise Problem(f"the program {argv[0]} is not installed") from None
        if process.returncode != 0:
            if interruptible and self.abandoned():
                raise Abandoned
            raise CommandFailed(argv, process.returncode, out + err)
        return out

    def _end_with_driver(self, process: subprocess.Popen[str]) -> None:
        """End the program and those that it has started when the driver goes before it ends."""
        while process.poll() is None:
            if self.shared.channel.gone.wait(LOOK_EVERY):
                for number in (signal.SIGTERM, signal.SIGKILL):
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(TIME_TO_END)
                return

    def _follow(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        lines, told = [], 0.0
        for line in process.stdout:
            lines.append(line)
            if line.strip() and time.monotonic() - told > PROGRESS_EVERY:
                self.say(line.strip())
                told = time.monotonic()
        return "".join(lines)

    def cached(self, name: str, read: Callable[[], T]) -> T:
        with self._reading(name):
            if name not in self.shared.cache:
                self.shared.cache[name] = read()
            seen: T = self.shared.cache[name]
            return seen

    def invalidate(self, name: str) -> None:
        with self._reading(name):
            self.shared.cache.pop(name, None)

    def _reading(self, name: str) -> threading.RLock:
        with self.shared.lock:
            return self.shared.reading.setdefault(name, threading.RLock())

    def say(self, text: str) -> None:
        self.shared.channel.emit(Say(self.role, text[:300]))

    def claim(self, resource: Resource, **facts: Any) -> None:
        with self.shared.lock:
            self.shared.state.claim(self.role, resource, **facts)

    def claims(self, resource: Resource) -> dict[str, Any]:
        with self.shared.lock:
            applied = self.shared.state.applied.get(resource.id)
            return applied.claims if applied else {}

    def blob(self, digest: str) -> AbstractContextManager[str]:
        return self.shared.channel.blob(digest)

    def peers(self, kind: type[R]) -> list[R]:
        return [resource for resource in self.shared.resources.values() if isinstance(resource, kind)]

    def find(self, id: str) -> Resource | None:  # noqa: A002
        return self.shared.resources.get(id)

    def state(self, *parts: str) -> str:
        return self.shared.state.path(*parts)

    def option(self, name: str) -> Any:
        return self.shared.options[name]

    def abandoned(self) -> bool:
        return self.shared.channel.gone.is_set()

    def packages(self, names: Sequence[str]) -> list[str]:
        return self.shared.distribution.packages(names)
