"""The host as resources see it."""

from __future__ import annotations

import io
import threading
from pathlib import Path

from provision.agent.channel import Channel
from provision.agent.machine import LocalMachine, Shared
from provision.agent.state import State
from tests.support.fakes.host import DISTRIBUTION

TIMEOUT = 5  # seconds


def test_roles_wait_for_the_same_answer_and_not_for_one_anothers_programs(tmp_path: Path) -> None:
    shared = Shared(Channel(io.BytesIO(), io.BytesIO()), State(str(tmp_path)), {}, {}, DISTRIBUTION)
    begun, other = threading.Event(), threading.Event()
    found: list[str] = []

    def slow() -> str:
        begun.set()
        assert other.wait(TIMEOUT)  # for an answer of another name
        return "slow"

    def reader() -> None:
        found.append(LocalMachine("a", shared).cached("slow", slow))

    thread = threading.Thread(target=reader)
    thread.start()
    assert begun.wait(TIMEOUT)
    assert LocalMachine("b", shared).cached("quick", lambda: "quick") == "quick"
    other.set()
    thread.join()
    assert found == ["slow"]
    assert LocalMachine("b", shared).cached("slow", lambda: "read twice") == "slow"
