"""The connection between the agent and the driver: events out, large inputs in.

Out, on standard output: an event a line. In, on standard input after the manifest: for each large input its
announcement, then the bytes. See events.py for both.
The end of the input before the end of the run means that the driver has gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from typing import BinaryIO

from .events import BlobHeader, Event, Need, Say
from .masking import without_credentials
from .resources import Problem
from .resources.fs import sha256_of
from .state import State

CHUNK = 1 << 20


class Channel:
    """Events from any thread; blobs by digest. `gone` is set when the driver has gone."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self.gone = threading.Event()
        self._source = source
        self._sink = sink
        self._writing = threading.Lock()
        self._arrival = threading.Condition()
        self._arrived: dict[str, str] = {}
        self._state: State | None = None

    def emit(self, event: Event) -> None:
        line = without_credentials(event.line()) + "\n"
        with self._writing:
            try:
                self._sink.write(line.encode())
                self._sink.flush()
            except (BrokenPipeError, ValueError):
                self.gone.set()

    def say(self, text: str) -> None:
        """Send a line of progress that belongs to no role."""
        self.emit(Say("machine", text))

    def abandoned(self) -> bool:
        """True when the driver has gone."""
        return self.gone.is_set()

    def listen(self, state: State) -> None:
        """Take blobs in the background from now on."""
        self._state = state
        threading.Thread(target=self._receive, daemon=True).start()

    @contextlib.contextmanager
    def blob(self, digest: str) -> Iterator[str]:
        """The path of the blob while the block runs. Asks the driver for it; Problem when that has gone.

        A blob that an earlier run has left is used, unless a power cut has damaged it.
        """
        assert self._state is not None
        kept = self._state.path("blobs", digest)
        if sha256_of(kept) != digest:
            self.emit(Need(digest))
            with self._arrival:
                self._arrival.wait_for(lambda: digest in self._arrived or self.gone.is_set())
            if error := self._arrived.get(digest, "the driver has gone"):
                raise Problem(error)
        yield kept
        with contextlib.suppress(FileNotFoundError):
            os.unlink(kept)

    def _receive(self) -> None:
        try:
            while line := self._source.readline():
                announced = BlobHeader.parse(line)
                error = self._store(announced.digest, announced.size)
                with self._arrival:
                    self._arrived[announced.digest] = error
                    self._arrival.notify_all()
        except (OSError, ValueError):
            pass
        self.gone.set()
        with self._arrival:
            self._arrival.notify_all()

    def _store(self, digest: str, size: int) -> str:
        """Keep the next `size` bytes of the input under their digest; returns what went wrong, or nothing."""
        assert self._state is not None
        path, error = self._state.path("blobs", digest), ""
        temporary = f"{path}.part"
        seen = hashlib.sha256()
        with open(temporary, "wb", buffering=0) as file:
            while size:
                chunk = self._source.read(min(size, CHUNK))
                if not chunk:
                    raise OSError("the driver has gone")
                size -= len(chunk)
                seen.update(chunk)
                if not error:
                    try:
                        while chunk:
                            chunk = chunk[file.write(chunk) :]
                    except OSError as failure:  # keep reading: the next line of the input has to be found
                        error = f"cannot store a large input: {failure.strerror}"
        if not error and seen.hexdigest() != digest:
            error = "a large input arrived damaged"
        if error:
            os.unlink(temporary)
        else:
            os.replace(temporary, path)
        return error
