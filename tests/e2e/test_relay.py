"""The relay from this computer's ports to a virtual machine. A server on this computer stands in for that."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.hosts.containers import free_port
from tests.support.operators import PROJECT

ANSWER_TIMEOUT = 30.0  # seconds


@contextmanager
def shouting(port: int = 0) -> Iterator[int]:
    """A server that answers with its input in capitals, once the input has ended."""
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(everything(connection).upper())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def ask(port: int, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT) as connection:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """All that the other side sends until it ends."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


Start = Callable[[int, int], "subprocess.Popen[bytes]"]


@pytest.fixture
def address(tmp_path: Path) -> Path:
    file = tmp_path / "machine.json"
    file.write_text(json.dumps({"HostName": "127.0.0.1"}))
    return file


@pytest.fixture
def start(address: Path) -> Iterator[Start]:
    """A function that starts relays; those that still run are killed at the end."""
    started = []

    def relay(here: int, there: int) -> subprocess.Popen[bytes]:
        words = [str(address.with_name("lock")), str(address), f"{here}:{there}"]
        argv = [sys.executable, "-m", "provision.machines.relay", *words]
        started.append(subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE))
        return started[-1]

    yield relay
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def answer(relay: subprocess.Popen[bytes]) -> str:
    assert relay.stdout
    return relay.stdout.readline().decode().strip()


def test_what_is_said_gets_through_and_back(start: Start) -> None:
    with shouting() as there:
        here = free_port()
        assert answer(start(here, there)) == "ready"
        large = b"a long story " * 100_000
        assert ask(here, large) == large.upper()
        assert ask(here, b"another one") == b"ANOTHER ONE"


def test_a_machine_that_restarts_is_reached_again(start: Start) -> None:
    here = free_port()
    with shouting() as there:
        assert answer(start(here, there)) == "ready"
        assert ask(here, b"before") == b"BEFORE"
    assert ask(here, b"") == b"", "no machine is there"
    with shouting(there):
        assert ask(here, b"after") == b"AFTER"


@pytest.mark.parametrize("end", ["gone", "another"])
def test_it_ends_with_the_file(start: Start, address: Path, end: str) -> None:
    relay = start(free_port(), free_port())
    assert answer(relay) == "ready"
    time.sleep(1)
    assert relay.poll() is None
    if end == "gone":
        address.unlink()
    else:
        other = address.with_name("other")
        other.write_text(address.read_text())
        other.replace(address)
    assert relay.wait(ANSWER_TIMEOUT) == 0


def test_the_next_one_waits_for_the_end_of_the_one_before(start: Start, address: Path) -> None:
    with shouting() as there:
        here = free_port()
        first = start(here, there)
        assert answer(first) == "ready"
        other = address.with_name("other")
        other.write_text(address.read_text())
        other.replace(address)
        assert answer(start(here, there)) == "ready"
        assert first.wait(ANSWER_TIMEOUT) == 0
        assert ask(here, b"whoever") == b"WHOEVER"


def test_a_taken_port_is_told(start: Start) -> None:
    with shouting() as taken:
        relay = start(taken, free_port())
        assert answer(relay) == f"port {taken} of 127.0.0.1 cannot be had: address already in use"
        relay.wait(ANSWER_TIMEOUT)
