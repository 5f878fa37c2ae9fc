"""The base class of resources, and the interface of the host that they work on."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import IO, Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R", bound="Resource")


class Problem(Exception):
    """A resource cannot be made true. `what` and `hint` reach the operator as they are."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Abandoned(Problem):
    """The driver has gone, and what took long was given up. The next run goes on with it."""

    def __init__(self) -> None:
        super().__init__("the driver has gone", "repeat the command")


class CommandFailed(Problem):
    """A program ended with another exit code than 0. `output`: all that it printed."""

    def __init__(self, argv: Sequence[str], code: int, output: str) -> None:
        self.tail = "\n".join(output.strip().splitlines()[-12:])
        super().__init__(f"`{' '.join(argv[:6])}` ended with exit code {code}\n{self.tail}".rstrip())
        self.code = code
        self.output = output


@dataclass(frozen=True)
class Change:
    """The effect of `apply()`. `unknown`: it depends on resources above that are not applied yet."""

    summary: str
    diff: str = ""
    unknown: bool = False


class Machine(Protocol):
    """The host of a resource, as the loop hands it to `check`, `apply` and `remove`."""

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002 - subprocess's own word
        stdin: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        watch: bool = False,
        interruptible: bool = False,
    ) -> str:
        """Standard output of a program. Raises CommandFailed. `watch` shows its lines as progress.

        `interruptible`: it may be ended at any moment, and is when the driver has gone: Abandoned.
        """

    def cached(self, name: str, read: Callable[[], T]) -> T:
        """The result of `read()`, which is called once a run until `invalidate(name)`: resources share it."""

    def invalidate(self, name: str) -> None:
        """Forget the result of `cached(name)`, because it has changed."""

    def say(self, text: str) -> None:
        """Send a line of progress to the operator."""

    def claim(self, resource: Resource, **facts: Any) -> None:
        """Remember what this resource is about to create, so that its removal deletes only that."""

    def claims(self, resource: Resource) -> dict[str, Any]:
        """The facts that were claimed, in this run or an earlier one."""

    def blob(self, digest: str) -> AbstractContextManager[str]:
        """The path of a large input, fetched from the driver, checked, and deleted afterwards."""

    def peers(self, kind: type[R]) -> list[R]:
        """All resources of a kind in the manifest: a probe asks for them in one call."""

    def find(self, id: str) -> Resource | None:  # noqa: A002
        """The manifest's resource of that id."""

    def state(self, *parts: str) -> str:
        """A path in the agent's own folder on this host; its parent exists after the first `claim`."""

    def option(self, name: str) -> Any:
        """A setting of this run, such as `apt_lock_wait`."""

    def abandoned(self) -> bool:
        """True when the driver has gone: what only waits should end."""

    def packages(self, names: Sequence[str]) -> list[str]:
        """The names that this host's distribution has for packages of roles."""


@dataclass(frozen=True)
class Resource(ABC):
    """One thing that should be true on a host: data, and three verbs.

    `check` only reads and returns what `apply` would change, or None. After `apply`, `check` returns
    None. `remove` takes away what was claimed and nothing else. `generalize` is for resources that differ
    from machine to machine.
    """

    @property
    @abstractmethod
    def id(self) -> str:
        """The name in all runs: a resource is removed when its id is no longer in the manifest."""

    def check_possible(self, machine: Machine) -> None:  # noqa: B027 - most kinds can be made everywhere
        """Raise Problem when this host is not one where `apply` can or may work. Reads only.

        An apply asks all resources before its first change, and makes none when one raises.
        """

    @abstractmethod
    def check(self, machine: Machine) -> Change | None: ...

    @abstractmethod
    def apply(self, machine: Machine) -> None: ...

    @abstractmethod
    def remove(self, machine: Machine) -> str | None:
        """Remove it. Returns the reason why it has to stay for now, or None when it is gone."""

    @property
    def preparatory(self) -> bool:
        """True when its `apply` may fail and changes nothing in use, so that it comes before others."""
        return False

    @property
    def switches(self) -> bool:
        """True when people use it, so that they notice its `apply`."""
        return False

    def prepare(self, machine: Machine) -> None:  # noqa: B027 - most kinds have nothing to prepare
        """Do as much of `apply` as may fail and as nothing in use reads; raise what `apply` would raise.

        Roles that it needs may have been prepared only, as it is itself.
        """

    def generalize(self, machine: Machine) -> str | None:  # noqa: ARG002 - most kinds are the same on every machine
        """Delete all that belongs to this one machine, so that its image can be copied.

        Returns a description of it, or None. `apply` makes it again, without any other download.
        """
        return None

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that it writes files into: a later run deletes what a killed one left there."""
        path = getattr(self, "path", "")
        return (path.rpartition("/")[0] or "/",) if path else ()

    def note_before(self, machine: Machine) -> None:  # noqa: B027 - most kinds have nothing to note
        """Claim what is there now: packages are about to be installed, and they may change it."""

    def check_usable(self, machine: Machine) -> None:  # noqa: B027 - most kinds have nothing to add
        """Raise Problem when it is true but of no use, such as a service that runs and does not answer."""

    def revive(self, machine: Machine) -> Change | None:
        """Check that what is true is of use, and set it right where that can be done; what was done then.

        Raises Problem when it stays of no use.
        """
        self.check_usable(machine)
        return None

    def stamp(self, machine: Machine) -> str:  # noqa: ARG002 - some kinds ask the host
        """A digest that changes when users of this resource must restart: see Service.watches."""
        return self.fingerprint

    @property
    def fingerprint(self) -> str:
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        return {"kind": type(self).__name__, **{f.name: getattr(self, f.name) for f in fields(self)}}

    def record(self) -> dict[str, Any]:
        """The data that the host keeps to remove it later: never a secret's value."""
        return self.to_json()


def from_fields(kind: type[R], data: Mapping[str, Any]) -> R:
    """A resource from its JSON. Fields that this version does not know are ignored."""
    known = {f.name for f in fields(kind)}
    return kind(**{k: _frozen(v) for k, v in data.items() if k in known})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
