"""The logs that `hubwright logs --server` finds on a host."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ended_servers
import pytest
import server_logs


def container(user: str, server: str = "", id: str = "") -> dict[str, Any]:  # noqa: A002 - Docker's word
    env = [f"JUPYTERHUB_USER={user}", f"JUPYTERHUB_SERVER_NAME={server}", "JUPYTERHUB_API_TOKEN=a=b"]
    return {"Id": id or f"c-{user}-{server}", "Config": {"Env": env}}


OTHERS = {"Id": "g", "Config": {"Env": ["RETENTION=1"]}}
BARE = {"Id": "b", "Config": {"Env": None}}


@pytest.mark.parametrize(
    ("containers", "found"),
    [
        (None, []),
        ([OTHERS, BARE], []),
        ([container("bob"), OTHERS, container("ada", "lab")], [("ada", "lab"), ("bob", "")]),
    ],
)
def test_servers_are_known_by_what_the_hub_told_them(containers: Any, found: list[tuple[str, str]]) -> None:
    text = "" if containers is None else json.dumps(containers)
    assert [(server.user, server.server) for server in server_logs.parse_containers(text)] == found


class Silence:
    """The output of a server that says nothing, until its log is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self.closed.wait(5)
        return iter(())


class Log:
    """`docker logs`."""

    def __init__(self, argv: list[str], lines: list[bytes] | None) -> None:
        self.argv = argv
        self.stdout: Any = Silence() if lines is None else io.BytesIO(b"".join(lines))
        self.killed = False

    def wait(self) -> int:
        return 0

    def kill(self) -> None:
        self.killed = True


class Docker:
    def __init__(self) -> None:
        self.containers: list[Any] = []
        self.said: dict[str, list[bytes] | None] = {}
        self.logs: list[Log] = []

    def ask(self, *argv: str) -> str:
        if argv[1] == "ps":
            return " ".join(one["Id"] for one in self.containers)
        return json.dumps(self.containers)

    def popen(self, argv: list[str], **_: Any) -> Log:
        self.logs.append(Log(argv, self.said.get(argv[-1], [])))
        return self.logs[-1]


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Docker:
    fake = Docker()
    monkeypatch.setattr(server_logs, "ask", fake.ask)
    monkeypatch.setattr(server_logs, "subprocess", SimpleNamespace(Popen=fake.popen, PIPE=0, STDOUT=0))
    monkeypatch.setattr(server_logs, "_hung_up", lambda: False)
    monkeypatch.setattr(ended_servers, "found", lambda: ended_servers_found(tmp_path))
    return fake


ended_servers_found = ended_servers.found


def answer(
    capsys: pytest.CaptureFixture[str], name: str, lines: int = 100, follow: bool = False
) -> tuple[dict[str, Any], list[str]]:
    server_logs.answer(name, lines, follow)
    first, *rest = capsys.readouterr().out.splitlines()
    return json.loads(first), rest


def test_all_servers_of_an_account_are_shown_the_ended_ones_first(
    docker: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended_servers.keep("ada", "old", b"a\nb\nc\n", tmp_path)
    ended_servers.keep("bob", "", b"not for you\n", tmp_path)
    docker.containers = [container("ada"), container("ada", "lab"), container("adam")]
    docker.said = {"c-ada-": [b"ready\n"], "c-ada-lab": [b"lab ready\r\n", b"half"], "c-adam-": [b"no\n"]}
    about, shown = answer(capsys, "ada", lines=2)
    assert about == {"found": 3, "near": []}
    assert shown[0].startswith("--- ada/old, ended 20")
    assert shown[1:] == ["b", "c", "--- ada, running", "ready", "--- ada/lab, running", "lab ready", "half"]
    assert docker.logs[0].argv == ["docker", "logs", "--tail=2", "c-ada-"]


def test_one_of_several_servers_is_chosen_by_its_name(
    docker: Docker, capsys: pytest.CaptureFixture[str]
) -> None:
    docker.containers = [container("ada"), container("ada", "lab")]
    docker.said = {"c-ada-lab": [b"x\n"]}
    assert answer(capsys, "ada/lab") == ({"found": 1, "near": []}, ["--- ada/lab, running", "x"])


def test_an_unknown_name_is_answered_with_near_ones(
    docker: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended_servers.keep("adam", "", b"x\n", tmp_path)
    docker.containers = [container("ada"), container("zoe")]
    about, shown = answer(capsys, "adaa")
    assert (about["found"], set(about["near"]), shown) == (0, {"ada", "adam"}, [])


def test_servers_that_run_are_followed_side_by_side(
    docker: Docker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended_servers.keep("ada", "old", b"a\n", tmp_path)
    docker.containers = [container("ada"), container("ada", "lab")]
    docker.said = {"c-ada-": [b"one\n"], "c-ada-lab": [b"two\n"]}
    _, shown = answer(capsys, "ada", follow=True)
    assert sorted(shown) == ["ada/lab: two", "ada: one"]
    assert all("--follow" in log.argv and log.killed for log in docker.logs)


def test_nothing_is_left_behind_when_the_operator_has_gone(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_logs, "_hung_up", lambda: True)
    docker.containers, docker.said = [container("ada")], {"c-ada-": None}
    began = time.monotonic()
    server_logs.answer("ada", 5, True)
    assert [log.killed for log in docker.logs] == [True]
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("a\tb \u00e9 \u4f60", "a\tb \u00e9 \u4f60"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("\x9b2J\x07\r\x00", "\ufffd2J\ufffd\ufffd\ufffd"),
    ],
)
def test_a_stranger_s_server_does_not_command_the_operator_s_terminal(line: str, shown: str) -> None:
    assert server_logs.clean(line) == shown
