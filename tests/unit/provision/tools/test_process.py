from __future__ import annotations

import io
import shutil
import subprocess
from typing import Any

import pytest

from provision.errors import HubwrightError
from provision.tools.process import ProgramError, docker, run


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def ends(monkeypatch: pytest.MonkeyPatch, code: int, output: bytes = b"", errors: bytes = b"") -> None:
    def program(argv: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(argv, code, output, errors)

    monkeypatch.setattr(subprocess, "run", program)


class Speaking:
    """A process whose output comes line by line."""

    returncode = 0

    def __init__(self, argv: list[str], stdin: Any, stdout: int, stderr: int, env: dict[str, str]) -> None:
        assert (stdout, stderr) == (subprocess.PIPE, subprocess.STDOUT)
        self.argv, self.killed, self.env = argv, False, env
        self.stdout = io.BytesIO(b"\x1b[91mone\x1b[0m\n\n" + stdin.read() + b"\n")

    def __enter__(self) -> Speaking:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def kill(self) -> None:
        self.killed = True


def test_output_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, 0, b"27.5.1\n", b"a warning\n")
    assert run(["docker", "info"]) == "27.5.1\n"


def test_a_failure_says_which_program_and_its_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, 3, b"", "\n".join(f"line {n}" for n in range(50)).encode())
    with pytest.raises(ProgramError) as caught:
        run(["mmdebstrap", "--variant=minbase", "bookworm", "/a/long/path"])
    first, *lines = str(caught.value).splitlines()
    assert first == "this computer: `mmdebstrap --variant=minbase bookworm …`: exit code 3"
    assert lines == [f"line {n}" for n in range(30, 50)]
    assert caught.value.exit_code == 3


def test_a_program_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(argv: list[str], **options: Any) -> None:
        raise subprocess.TimeoutExpired(argv, options["timeout"], stderr=b"still waiting")

    monkeypatch.setattr(subprocess, "run", program)
    with pytest.raises(ProgramError, match="did not end in time\nstill waiting") as caught:
        run(["docker", "pull"], timeout=1)
    assert caught.value.exit_code is None


def test_a_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(HubwrightError, match="mmdebstrap is not installed") as caught:
        run(["mmdebstrap"])
    assert "make setup" in caught.value.hint


def test_docker_failures_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, 1, errors=b"Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    with pytest.raises(HubwrightError, match="Docker does not answer"):
        docker("info")
    ends(monkeypatch, 1, errors=b"No such image")
    with pytest.raises(ProgramError, match="No such image"):
        docker("run")


def test_lines_arrive_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", Speaking)
    heard: list[str] = []
    assert run(["docker", "build", "-"], stdin=b"two", on_line=heard.append) == "one\ntwo"
    assert heard == ["one", "two"]

    monkeypatch.setattr(Speaking, "returncode", 1)
    with pytest.raises(ProgramError, match="exit code 1\none\ntwo"):
        run(["docker", "build", "-"], stdin=b"two", on_line=heard.append)


def test_a_program_does_not_outlive_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[Speaking] = []

    def start(*args: Any, **options: Any) -> Speaking:
        processes.append(Speaking(*args, **options))
        return processes[-1]

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        run(["docker", "build", "-"], on_line=interrupt)
    assert [each.killed for each in processes] == [True]


@pytest.mark.parametrize("on_line", [None, lambda _: None], ids=["at once", "line by line"])
def test_an_environment_is_laid_over_the_own_one(monkeypatch: pytest.MonkeyPatch, on_line: Any) -> None:
    started: list[dict[str, str]] = []

    def program(argv: list[str], **options: Any) -> Any:
        started.append(options["env"])
        plain = subprocess.CompletedProcess(argv, 0, b"", b"")
        return plain if on_line is None else Speaking(argv, **options)

    monkeypatch.setattr(subprocess, "run", program)
    monkeypatch.setattr(subprocess, "Popen", program)
    monkeypatch.setenv("HOME", "/h")
    run(["docker", "build"], env={"http_proxy": "http://proxy:1"}, on_line=on_line)
    assert (started[0]["HOME"], started[0]["http_proxy"]) == ("/h", "http://proxy:1")


class Reading:
    """A process that reads its input before it says anything."""

    def __init__(self, stdin: int, kept: list[bytes], returncode: int = 0) -> None:
        assert stdin == subprocess.PIPE
        self.stdin, self.stdout, self.returncode = Pipe(kept), io.BytesIO(b"said\n"), returncode
        self.killed = False

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def kill(self) -> None:
        self.killed = True


class Pipe(io.RawIOBase):
    def __init__(self, kept: list[bytes]) -> None:
        self.kept = kept

    def write(self, data: Any) -> int:
        if data == b"closed":
            raise BrokenPipeError
        self.kept.append(bytes(data))
        return len(data)


def test_a_large_input_is_written_while_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr(subprocess, "Popen", lambda _, stdin, **__: Reading(stdin, kept))

    def write(file: Any) -> None:
        for piece in (b"one", b"two", b"closed", b"three"):
            file.write(piece)

    assert run(["docker", "build"], stdin=write, on_line=lambda _: None) == "said"
    assert kept == [b"one", b"two"], "what a program does not read is no failure"


def test_an_input_that_fails_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Reading(subprocess.PIPE, [])
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: process)

    def write(_: object) -> None:
        raise HubwrightError("x: cannot be read")

    with pytest.raises(HubwrightError, match="x: cannot be read"):
        run(["docker", "build"], stdin=write, on_line=lambda _: None)
    assert process.killed
