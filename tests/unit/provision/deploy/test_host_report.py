"""The program that reports a host's state, with made-up programs and files."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.deploy import host_report

RESOURCES = [
    {"kind": "DockerNetwork", "name": "hubwright"},
    {"kind": "DockerImage", "tag": "hubwright/notebook:1"},
    {"kind": "DockerVolume", "name": "hubwright-graphite"},
    {"kind": "Service", "name": "hubwright-fence", "still_there": ["/x/fence.py", "check"]},
    {"kind": "Service", "name": "jupyterhub", "still_there": []},
]
URL = "https://127.0.0.1:443"
WELL: dict[str, Any] = {
    "network": "bridge\nhubwright\n",
    "image": "hubwright/notebook:1\n",
    "volume": "hubwright-graphite\n",
    "ps": "hubwright-a\nhubwright-b\nhelper\n",
    "fence": (True, ""),
    "inspect": "7\n",
    "reach": (True, ""),
    "way": (True, ""),
    "host reaches": True,
    "door": 200,
    "front": urllib.error.HTTPError("", 302, "", {}, None),  # type: ignore[arg-type]
    "unit": 404,
    "docker.service": "active\n",
    "jupyterhub": "ActiveState=active\nResult=success\n",
    "x.timer": "ActiveState=active\nUnit=x.service\n",
    "x.service": "success\n",
}


asked: list[tuple[str, ...]] = []


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The programs' answers, for tests to change. `door`, `unit`: answers to requests, or their failures."""
    answers = dict(WELL)
    asked.clear()

    def run(*argv: str, errors: bool = False) -> tuple[bool, str]:
        asked.append(argv)
        assert errors == (argv[0] == "/usr/bin/python3" or host_report.LOOK_UP in argv)
        inside = "way" if host_report.LOOK_UP in argv else "reach"
        key = {"docker": argv[1], "systemctl": argv[-1], "nsenter": inside}.get(argv[0], "fence")
        answer = answers[key]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, tuple) else (True, answer)

    class Opener:
        def open(self, url: str, **_: Any) -> Any:
            said = answers[{f"{URL}/hub/health": "door", f"{URL}/": "front"}[url]]
            if isinstance(said, Exception):
                raise said
            answer: Any = io.BytesIO()
            answer.status = said
            return answer

    class Connection:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            assert (host, port, timeout) == ("127.0.0.1", 80, host_report.UNITS_TIMEOUT)

        def request(self, method: str, path: str) -> None:
            assert (method, path) == ("GET", "/ready")

        def getresponse(self) -> Any:
            answer = answers["unit"]
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, threading.Event):
                answer.wait()
            return SimpleNamespace(status=answer if isinstance(answer, int) else 200)

        def close(self) -> None: ...

    monkeypatch.setattr(http.client, "HTTPConnection", Connection)
    monkeypatch.setattr(host_report, "run", run)
    monkeypatch.setattr(host_report, "resolver_of", lambda process: "127.0.0.11" if process == "7" else "")
    monkeypatch.setattr(host_report, "host_reaches", lambda *_: answers["host reaches"])
    monkeypatch.setattr(host_report, "STATE", str(tmp_path))
    monkeypatch.setattr(urllib.request, "build_opener", lambda *_: Opener())
    (tmp_path / "applied.json").write_text(json.dumps({"resources": [{"resource": r} for r in RESOURCES]}))
    (tmp_path / "young").touch()
    return answers


def told(tmp_path: Path) -> dict[str, Any]:
    return host_report.report(
        {
            "units": ["jupyterhub", "x.timer"],
            "door": "https://127.0.0.1:443",
            "answers": {"jupyterhub": "http://127.0.0.1:80/ready", "down": "http://127.0.0.1:81/"},
            "fresh": {str(tmp_path / "young"): 120},
            "helpers": ["helper"],
            "hub": ("helper", "172.30.0.1", 8081),
            "index": ("pypi.org", 443),
        }
    )


def test_a_hub_that_is_well(host: dict[str, Any], tmp_path: Path) -> None:  # noqa: ARG001
    found = told(tmp_path)
    assert (found["faults"], found["servers"]) == ([], 2)
    assert found["units"] == {"jupyterhub": "active", "x.timer": "active"}


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ({"jupyterhub": "ActiveState=inactive\n"}, "jupyterhub is inactive"),
        ({"jupyterhub": (False, "")}, "jupyterhub is unknown"),
        ({"x.timer": "ActiveState=inactive\nUnit=x.service\n"}, "x.timer is inactive"),
        ({"x.service": "exit-code\n"}, "x.timer is failed"),
        ({"network": "bridge\n"}, "Docker's network hubwright is gone"),
        ({"image": "hubwright/notebook:2\n"}, "Docker's image hubwright/notebook:1 is gone"),
        ({"volume": ""}, "Docker's volume hubwright-graphite is gone"),
        ({"network": (False, "")}, "Docker does not answer"),
        ({"fence": (False, "")}, "hubwright-fence: its result is gone"),
        ({"fence": (False, "a warning\nrules are missing\n")}, "hubwright-fence: rules are missing"),
        ({"reach": (False, "")}, "containers do not reach the hub at 172.30.0.1:8081"),
        ({"way": (False, "do not resolve pypi.org\n")}, "containers do not resolve pypi.org"),
        ({"unit": 502}, "jupyterhub runs, but answers 502 at http://127.0.0.1:80/ready"),
        (
            {"unit": ConnectionRefusedError("refused")},
            "jupyterhub runs, but does not answer: refused at http://127.0.0.1:80/ready",
        ),
        ({"unit": TimeoutError()}, "jupyterhub runs, but does not answer at http://127.0.0.1:80/ready"),
        ({"jupyterhub": "ActiveState=failed\n", "unit": TimeoutError()}, "jupyterhub is failed"),
        ({"door": 503}, "https://127.0.0.1:443/hub/health answers 503"),
        ({"front": 404}, "https://127.0.0.1:443/ answers 404"),
        (
            {"door": urllib.error.HTTPError("", 502, "", {}, None)},  # type: ignore[arg-type]
            "https://127.0.0.1:443/hub/health answers 502",
        ),
        (
            {"door": urllib.error.URLError("Connection refused")},
            "https://127.0.0.1:443/hub/health does not answer: Connection refused",
        ),
    ],
)
def test_what_keeps_people_from_their_work_is_named(
    host: dict[str, Any], tmp_path: Path, broken: dict[str, Any], fault: str
) -> None:
    host.update(broken)
    assert told(tmp_path)["faults"] == [fault]


def test_an_answer_that_never_ends_is_not_waited_for(
    host: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host["unit"] = ended = threading.Event()
    monkeypatch.setattr(host_report, "UNITS_TIMEOUT", 0.05)
    found = told(tmp_path)
    ended.set()
    assert found["faults"] == ["jupyterhub runs, but does not answer at http://127.0.0.1:80/ready"]


SILENT = subprocess.TimeoutExpired("docker", host_report.ANSWER_TIMEOUT)


@pytest.mark.parametrize("first", ["network", "image", "inspect", "ps"])
def test_a_docker_that_does_not_answer_is_asked_no_more(
    host: dict[str, Any], tmp_path: Path, first: str
) -> None:
    host[first] = SILENT
    found = told(tmp_path)
    assert found["faults"] == ["Docker does not answer"]
    assert [argv[1] for argv in asked if argv[0] == "docker"][-1] == first
    assert found["servers"] == 0


def test_a_docker_that_was_stopped_is_not_started_by_a_question(host: dict[str, Any], tmp_path: Path) -> None:
    host["docker.service"] = (False, "inactive\n")
    [fault] = told(tmp_path)["faults"]
    assert fault.startswith("Docker does not run")
    assert not [argv for argv in asked if argv[0] == "docker"]


def test_what_should_be_young_and_is_old(host: dict[str, Any], tmp_path: Path) -> None:  # noqa: ARG001
    then = time.time() - 1000
    os.utime(tmp_path / "young", (then, then))
    assert told(tmp_path)["faults"] == [
        f"{tmp_path}/young was last written 1000 s ago; 120 s is usual at most"
    ]
    (tmp_path / "young").unlink()
    assert told(tmp_path)["faults"] == [f"{tmp_path}/young is not there"]


def test_a_run_that_failed_is_told_and_is_no_fault_of_a_hub_that_serves(
    host: dict[str, Any],  # noqa: ARG001
    tmp_path: Path,
) -> None:
    (tmp_path / "journal.jsonl").write_text('{"failed": ["proxy", "hub"]}\n')
    found = told(tmp_path)
    assert (found["faults"], found["last_run"]) == ([], {"failed": ["proxy", "hub"]})


def test_what_an_unfinished_run_meant_to_make_is_not_missed(host: dict[str, Any], tmp_path: Path) -> None:  # noqa: ARG001
    entries = [{"resource": each} for each in RESOURCES]
    entries.append({"resource": {"kind": "DockerImage", "tag": "hubwright/notebook:2"}, "complete": False})
    (tmp_path / "applied.json").write_text(json.dumps({"resources": entries}))
    assert told(tmp_path)["faults"] == []


def test_a_host_without_a_way_out_has_no_fault_in_its_containers(
    host: dict[str, Any], tmp_path: Path
) -> None:
    host.update({"way": (False, "do not resolve pypi.org\n"), "host reaches": False})
    assert told(tmp_path)["faults"] == []


class Resolver:
    """A socket to a resolver with this answer; None: it is silent."""

    def __init__(self, records: bytes | None, count: int) -> None:
        self.records, self.count = records, count
        self.query = b""

    def settimeout(self, _: float) -> None: ...

    def sendto(self, query: bytes, place: tuple[str, int]) -> None:
        assert place == ("127.0.0.11", 53)
        self.query = query

    def recv(self, _: int) -> bytes:
        if self.records is None:
            raise TimeoutError("timed out")
        flags = b"\x81\x80" if self.count else b"\x81\x83"
        header = self.query[:2] + flags + self.query[4:6] + bytes([0, self.count]) + self.query[8:12]
        return header + self.query[12:] + self.records


ALIAS = b"\xc0\x0c" + b"\0\x05\0\x01" + bytes(4) + b"\0\x06" + b"\x04pypi\0"
ADDRESS = b"\x04pypi\0" + b"\0\x01\0\x01" + bytes(4) + b"\0\x04" + b"\x0a\x01\x02\x03"


@pytest.mark.parametrize(
    ("name", "resolver", "refused", "said"),
    [
        ("pypi.org", Resolver(ALIAS + ADDRESS, 2), False, ""),
        ("10.1.2.3", Resolver(None, 0), False, ""),
        ("pypi.org", Resolver(b"", 0), False, "do not resolve pypi.org (answer 3 of 127.0.0.11)"),
        (
            "pypi.org",
            Resolver(None, 0),
            False,
            "do not resolve names: 127.0.0.11 does not answer (timed out)",
        ),
        ("pypi.org", Resolver(ADDRESS, 1), True, "do not reach pypi.org:443, where packages come from: no"),
    ],
)
def test_a_container_s_resolver_and_index_are_asked(
    monkeypatch: pytest.MonkeyPatch, name: str, resolver: Resolver, refused: bool, said: str
) -> None:
    def connect(place: tuple[str, int], timeout: float) -> Any:  # noqa: ARG001
        assert place == ("10.1.2.3", 443)
        if refused:
            raise ConnectionRefusedError("no")
        return io.BytesIO()

    monkeypatch.setattr(socket, "socket", lambda *_: resolver)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(sys, "argv", ["-c", "127.0.0.11", name, "443"])
    with pytest.raises(SystemExit) if said else nullcontext() as ended:
        exec(host_report.LOOK_UP, {})
    assert said == ("" if ended is None else ended.value.code)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"version": 1, "resour', '{"resources": [1]}', '{"resources": 1}']
)
def test_a_damaged_record_is_a_fault_and_no_bare_host(
    host: dict[str, Any],  # noqa: ARG001
    tmp_path: Path,
    text: str,
) -> None:
    (tmp_path / "applied.json").write_text(text)
    (fault,) = told(tmp_path)["faults"]
    assert "applied.json is damaged" in fault


def test_nothing_is_deployed(tmp_path: Path, host: dict[str, Any]) -> None:  # noqa: ARG001
    (tmp_path / "applied.json").unlink()
    assert told(tmp_path) == {"deployed": False}


@pytest.mark.parametrize(
    ("journal", "last"),
    [
        (None, None),
        (b"", None),
        (b'{"time": 1}\n{"time": 2}\n', {"time": 2}),
        (b'{"time": 1}\n{"time": 2, "fai', {"time": 1}),
        (b'{"time": 1}\n' + b"\0" * 64, {"time": 1}),
        (b'{"time": 1}\n\xff\xfe\n7\n', {"time": 1}),
        (b"{", None),
    ],
)
def test_a_journal_that_a_power_cut_tore(tmp_path: Path, journal: bytes | None, last: Any) -> None:
    path = tmp_path / "journal.jsonl"
    if journal is not None:
        path.write_bytes(journal)
    assert host_report.last_line(str(path)) == last
