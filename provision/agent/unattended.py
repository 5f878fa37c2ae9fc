"""A run that no driver watches: events go to the journal in words, large inputs come from files and URLs.

The manifest asks for it with the key `unattended`:
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
from .resources import Problem
from .resources.fs import read_text, sha256_of
from .resources.network.download import Advice, download
from .state import State

AGAIN = "then start this unit again, or the machine"
PART = Advice(
    f"publish the file that was written together with this machine's user-data, {AGAIN}",
    f"check that this machine reaches it and that it is published there, {AGAIN}",
)
COUNTED = {
    "changed": "changed",
    "removed": "removed",
    "ok": "held",
    "failed": "failed",
    "skipped": "not tried",
}


class Journal(Channel):
    """The line of a run without a driver. Nobody hangs up: `gone` is set by a signal alone."""

    def __init__(self, sink: BinaryIO, blobs: Mapping[str, str]) -> None:
        super().__init__(io.BytesIO(), sink)
        self._places = blobs

    def emit(self, event: str, **data: Any) -> None:
        with self._writing, contextlib.suppress(BrokenPipeError):
            for line in words(event, data):
                self._sink.write(f"{line}\n".encode())
            self._sink.flush()

    def listen(self, state: State) -> None:
        self._state = state

    @contextlib.contextmanager
    def blob(self, digest: str) -> Iterator[str]:
        place = self._places.get(digest, "")
        if "://" not in place:
            if sha256_of(place) != digest:
                raise Problem(f"{place or 'a large input'} is missing or damaged", "make the machine anew")
            yield place
            return
        assert self._state is not None
        path = self._state.path("blobs", digest)
        download(self, place, digest, path, PART)
        yield path
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def complete(manifest: dict[str, Any]) -> None:
    """Put back what was withheld from the manifest. Problem when this machine was not given it."""
    given = manifest["unattended"]
    content: dict[str, str] = json.loads(read_text(given["secrets"]) or "{}")
    for role in manifest["roles"]:
        for resource in role["resources"]:
            id_ = f"file:{resource.get('path')}"
            if resource.get("secret") and id_ in given["withheld"]:
                if id_ not in content:
                    raise Problem(
                        f"{given['secrets']} does not hold {id_}",
                        "make the machine anew with user-data and parts of one run of `hubwright cloud-init`",
                    )
                resource["content"] = content[id_]


def words(event: str, data: Mapping[str, Any]) -> list[str]:
    """An event as lines for a person, see __main__.py."""
    if event == "hello":
        return [f"{data['hostname']}: {data['os']}, Python {data['python']}"]
    if event == "say":
        return [f"  {data['role']}: {data['text']}"]
    if event == "result":
        took = f" ({data['seconds']:.1f} s)" if data["seconds"] >= 0.05 else ""
        lines = f"{data['status']}: {data['role']}: {data['summary']}{took}".splitlines()
        return lines + _hint(data)
    if event == "error":
        return [f"error: {data['what']}", *_hint(data)]
    if event == "end":
        count = [f"{data['count'][key]} {word}" for key, word in COUNTED.items() if data["count"].get(key)]
        outcome = "failed" if data["count"].get("failed") or data["count"].get("skipped") else "done"
        return [f"{outcome}: {', '.join(count)} ({data['seconds']:.0f} s)"]
    return []


def _hint(data: Mapping[str, Any]) -> list[str]:
    return [f" next: {data['hint']}"] if data.get("hint") else []
