"""The line between agent and driver, with a pipe in place of SSH."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from provision.agent.channel import CHUNK, Channel
from provision.agent.events import Say
from provision.agent.resources import Problem
from provision.agent.state import State


class Driver:
    """The driver's end: it writes, and keeps all that it hears."""

    def __init__(self, folder: Path) -> None:
        reader, writer = os.pipe()
        self.writer = os.fdopen(writer, "wb")
        self.sink = io.BytesIO()
        self.channel = Channel(os.fdopen(reader, "rb"), self.sink)
        self.state = State(str(folder))
        (folder / "blobs").mkdir(parents=True)
        self.blobs = folder / "blobs"
        self.channel.listen(self.state)

    def send(self, content: bytes, digest: str = "", size: int | None = None) -> str:
        digest = digest or hashlib.sha256(content).hexdigest()
        header = {"blob": digest, "size": len(content) if size is None else size}
        self.writer.write(json.dumps(header).encode() + b"\n" + content)
        self.writer.flush()
        return digest

    def send_when_asked(self, content: bytes) -> None:
        def answer() -> None:
            while not self.heard:
                time.sleep(0.001)
            self.send(content)

        threading.Thread(target=answer, daemon=True).start()

    def take(self, digest: str) -> bytes:
        with self.channel.blob(digest) as path:
            return Path(path).read_bytes()

    @property
    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path / "state")
    yield driver
    with contextlib.suppress(OSError):
        driver.writer.close()


@pytest.mark.parametrize("content", [b"", b"small", b"\n{}\n" * 9, b"x" * (2 * CHUNK + 1)])
def test_a_blob_arrives_whole_and_is_deleted_after_use(driver: Driver, content: bytes) -> None:
    driver.send_when_asked(content)
    digest = hashlib.sha256(content).hexdigest()
    assert driver.take(digest) == content
    assert driver.heard == [{"event": "need", "blob": digest}]
    assert list(driver.blobs.iterdir()) == []


def test_two_blobs_come_in_any_order(driver: Driver) -> None:
    first, second = (hashlib.sha256(content).hexdigest() for content in (b"first", b"second"))
    driver.send(b"second")
    driver.send(b"first")
    assert (driver.take(first), driver.take(second)) == (b"first", b"second")


def test_a_blob_that_an_earlier_run_fetched_is_not_asked_for_again(driver: Driver) -> None:
    digest = hashlib.sha256(b"there").hexdigest()
    (driver.blobs / digest).write_bytes(b"there")
    assert driver.take(digest) == b"there"
    assert driver.heard == []


def test_a_blob_that_a_power_cut_has_emptied_is_asked_for_again(driver: Driver) -> None:
    digest = hashlib.sha256(b"there").hexdigest()
    (driver.blobs / digest).write_bytes(b"")
    driver.send_when_asked(b"there")
    assert driver.take(digest) == b"there"


def test_a_blob_whose_use_fails_is_kept_for_the_next_run(driver: Driver) -> None:
    digest = driver.send(b"content")
    with pytest.raises(Problem, match="docker load"), driver.channel.blob(digest):
        raise Problem("docker load")
    assert (driver.blobs / digest).exists()


def test_a_damaged_blob_is_refused_and_the_line_goes_on(driver: Driver) -> None:
    driver.send(b"something else", digest="0a" * 32)
    with pytest.raises(Problem, match="arrived damaged"):
        driver.take("0a" * 32)
    assert driver.take(driver.send(b"good")) == b"good"
    assert list(driver.blobs.iterdir()) == []


@pytest.mark.parametrize("size", [1000, 9])
def test_a_full_disk_is_said_and_the_line_goes_on(driver: Driver, size: int) -> None:
    digest = hashlib.sha256(b"x" * size).hexdigest()
    (driver.blobs / f"{digest}.part").symlink_to("/dev/full")
    driver.send(b"x" * size)
    with pytest.raises(Problem, match="cannot store a large input: No space left on device"):
        driver.take(digest)
    assert driver.take(driver.send(b"good")) == b"good"


@pytest.mark.parametrize(
    "sent", [b"", b'{"blob": "x", "size": 100}\nonly this', b"no JSON\n", b'{"blob": "x"']
)
def test_a_driver_that_goes_away_ends_the_wait(driver: Driver, sent: bytes) -> None:
    driver.writer.write(sent)
    driver.writer.close()
    with pytest.raises(Problem, match="the driver has gone"):
        driver.take("x")
    assert driver.channel.gone.is_set()


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_events_to_nobody_are_noticed_and_break_nothing(error: type[Exception]) -> None:
    class Closed(io.BytesIO):
        def write(self, _: Any) -> int:
            raise error

    channel = Channel(io.BytesIO(), Closed())
    channel.emit(Say("one", "x"))
    assert channel.gone.is_set()


def test_events_of_many_threads_are_whole_lines() -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any) -> int:
            return sum(super(Slow, self).write(bytes([byte])) for byte in data)

    sink: BinaryIO = Slow()
    channel = Channel(io.BytesIO(), sink)
    threads = [threading.Thread(target=channel.emit, args=(Say("one", "ä" * 50),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in Slow.getvalue(sink).splitlines()]  # type: ignore[arg-type]
    assert lines == [{"event": "say", "role": "one", "text": "ä" * 50}] * 8


def test_what_is_said_holds_no_password_of_an_address() -> None:
    sink = io.BytesIO()
    Channel(io.BytesIO(), sink).emit(Say("base", 'E: "http://me:secret@proxy:1" says 407'))
    assert json.loads(sink.getvalue())["text"] == 'E: "http://***@proxy:1" says 407'
