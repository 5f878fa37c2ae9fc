"""A run without a driver: events go to the journal as text, large inputs come from files and URLs.

The key `unattended` of the manifest describes it:
  blobs      digest → the path of a file on this machine, or a URL
  withheld   ids of files whose content is not in the manifest, which may have been published
  secrets    the path of a JSON file on this machine with that content by id
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from .channel import Channel
from .events import End, Error, Event, Hello, Result, Say, Status, has_failed
from .resources import Problem
from .resources.fs import read_text, sha256_of
from .resources.network.download import Advice, download
from .state import State

AGAIN = "then start this unit again, or the machine"
PART = Advice(
    f"publish the file that was written together with this machine's user-data, {AGAIN}",
    f"check that this machine reaches it and that it is published there, {AGAIN}",
)
STATUS_WORDS = {Status.OK: "held", Status.SKIPPED: "not tried"}  # others are words of their own


class Journal(Channel):
    """The channel of a run without a driver. Only a signal sets `gone`."""

    def __init__(self, sink: BinaryIO, blobs: Mapping[str, str]) -> None:
        super().__init__(io.BytesIO(), sink)
        self._places = blobs

    def emit(self, event: Event) -> None:
        with self._writing, contextlib.suppress(BrokenPipeError):
            for line in words(event):
                self._sink.write(f"{line}\n".encode())
            self._sink.flush()

    def listen(self, state: State) -> None:
        self._state = state

    @contextlib.contextmanager
    def blob(self, digest: str) -> Iterator[str]:
        place = self._places.get(digest, "")
        if "://" not in place:
            if sha256_of(place) != digest:
                raise Problem(f"{place or 'a large input'} is missing or damaged", "make a new machine")
            yield place
            return
        assert self._state is not None
        path = self._state.path("blobs", digest)
        download(self, place, digest, path, PART)
        yield path
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def complete(manifest: dict[str, Any]) -> None:
    """Put the withheld contents back into the manifest. Problem when this machine lacks one."""
    given = manifest["unattended"]
    content: dict[str, str] = json.loads(read_text(given["secrets"]) or "{}")
    for role in manifest["roles"]:
        for resource in role["resources"]:
            id_ = f"file:{resource.get('path')}"
            if resource.get("secret") and id_ in given["withheld"]:
                if id_ not in content:
                    raise Problem(
                        f"{given['secrets']} does not hold {id_}",
                        "make a new machine with user-data and parts of one run of `hubwright cloud-init`",
                    )
                resource["content"] = content[id_]


def words(event: Event) -> list[str]:
    """An event as lines for a person."""
    if isinstance(event, Hello):
        return [f"{event.hostname}: {event.os}, Python {event.python}"]
    if isinstance(event, Say):
        return [f"  {event.role}: {event.text}"]
    if isinstance(event, Result):
        took = f" ({event.seconds:.1f} s)" if event.seconds >= 0.05 else ""
        lines = f"{event.status}: {event.role}: {event.summary}{took}".splitlines()
        return lines + _hint(event.hint)
    if isinstance(event, Error):
        return [f"error: {event.what}", *_hint(event.hint)]
    if isinstance(event, End):
        ended = Status.FAILED if has_failed(event.count) else "done"
        return [f"{ended}: {_counted(event)} ({event.seconds:.0f} s)"]
    return []


def _counted(end: End) -> str:
    return ", ".join(
        f"{number} {STATUS_WORDS.get(status, status)}"
        for status in Status
        if (number := end.count.get(status))
    )


def _hint(hint: str) -> list[str]:
    return [f" next: {hint}"] if hint else []
