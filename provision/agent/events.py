"""The events between the agent and the driver: the only definition, used on both sides.

Events go from the host to the driver, one JSON object a line: the key `event` names it, the others are the
fields of its class here. Large inputs go the other way, see `BlobHeader`.

An agent may be newer than its reader. An unknown event is read as `Other`, and an
unknown status stays the word that it is: a reader shows both.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

Mode = Literal["plan", "apply", "generalize"]


class Status(str, enum.Enum):
    """The state of one resource after a run has looked at it."""

    CHANGED = "changed"
    WOULD_CHANGE = "would-change"
    REMOVED = "removed"
    WOULD_REMOVE = "would-remove"
    UNKNOWN = "unknown"  # a plan cannot tell before other resources are applied
    KEPT = "kept"  # no longer wanted, and it has to stay for now
    OK = "ok"  # it was true already
    FAILED = "failed"
    SKIPPED = "skipped"  # not tried, because of another failure

    def __str__(self) -> str:
        return self.value


_UNCHANGED = (Status.OK, Status.KEPT, Status.FAILED, Status.SKIPPED)


def is_change(status: str) -> bool:
    """True when a resource with this status was changed, or would be. An unknown status counts as a change:
    a plan must not call a host unchanged without knowing."""
    return status not in _UNCHANGED


def is_failure(status: str) -> bool:
    """True for a resource that failed, or was not tried because another one failed."""
    return status in (Status.FAILED, Status.SKIPPED)


def has_failed(count: Mapping[str, int]) -> bool:
    """True when a run with these numbers of resources by status has failed."""
    return any(number and is_failure(status) for status, number in count.items())


@dataclass(frozen=True)
class Event:
    """One line from the host. Every field has a default: a field that an agent does not send is empty."""

    name: ClassVar[str] = ""

    def data(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return asdict(self)

    def line(self) -> str:
        """The event as a line of JSON, without the line's end."""
        return json.dumps({"event": self.name, **self.data()})


@dataclass(frozen=True)
class Reached(Event):
    """The login user's shell has understood its line."""

    name = "reached"


@dataclass(frozen=True)
class Entered(Event):
    """Root is there: the bundle may be sent."""

    name = "entered"


@dataclass(frozen=True)
class Left(Event):
    """Root's program has ended, in whatever way, and the shell waits for the end of its input."""

    name = "left"


@dataclass(frozen=True)
class Hello(Event):
    """The agent runs. Facts about the host."""

    name = "hello"
    os: str = ""
    hostname: str = ""
    python: str = ""


@dataclass(frozen=True)
class Say(Event):
    """A line of progress."""

    name = "say"
    role: str = ""
    text: str = ""


@dataclass(frozen=True)
class Result(Event):
    """One for each resource that was not true already. `hint` and `trace` belong to failures."""

    name = "result"
    role: str = ""
    id: str = ""
    status: str = ""
    summary: str = ""
    diff: str = ""
    seconds: float = 0.0
    hint: str = ""
    trace: str = ""


@dataclass(frozen=True)
class Need(Event):
    """The driver should send the large input with this digest."""

    name = "need"
    blob: str = ""


@dataclass(frozen=True)
class Error(Event):
    """The run has ended and changed nothing."""

    name = "error"
    what: str = ""
    hint: str = ""


@dataclass(frozen=True)
class End(Event):
    """The last event. `count`: resources by status."""

    name = "end"
    count: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Accepted(Event):
    """The driver's own: the operator wanted this new host key, which is in `file` now."""

    name = "accepted"
    key: str = ""
    file: str = ""


@dataclass(frozen=True)
class Other(Event):
    """An event of a newer agent, or one with a field of another type than is known here."""

    word: str = ""
    rest: dict[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        return self.rest

    def line(self) -> str:
        return json.dumps({"event": self.word, **self.rest})


KNOWN: dict[str, type[Event]] = {
    kind.name: kind for kind in (Reached, Entered, Left, Hello, Say, Result, Need, Error, End, Accepted)
}


def parse(line: str | bytes) -> Event | None:
    """The event in a line, or None: login shells print greetings in any form and encoding."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("event"), str):
        return None
    word = said.pop("event")
    kind = KNOWN.get(word)
    if kind is None:
        return Other(word, said)
    given = {each.name: said[each.name] for each in fields(kind) if each.name in said}
    empty = kind()
    if not all(_like(getattr(empty, key), value) for key, value in given.items()):
        return Other(word, said)
    return kind(**given)


def _like(default: Any, value: Any) -> bool:
    """True when a value has the type of a field's default."""
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, dict):
        return isinstance(value, dict) and all(isinstance(number, int) for number in value.values())
    return isinstance(value, type(default))


@dataclass(frozen=True)
class BlobHeader:
    """The line before a large input on the agent's standard input; `size` bytes follow it."""

    digest: str
    size: int

    def line(self) -> bytes:
        return json.dumps({"blob": self.digest, "size": self.size}).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> BlobHeader:
        """The header in a line. Raises ValueError for any other line, such as one that was cut off."""
        try:
            said = json.loads(line)
            return cls(str(said["blob"]), int(said["size"]))
        except (KeyError, TypeError) as error:
            raise ValueError("this announces no large input") from error
