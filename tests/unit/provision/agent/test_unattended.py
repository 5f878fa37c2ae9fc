"""A run without a driver: its start, the sources of its inputs, and the state at its end."""

from __future__ import annotations

import email.message
import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision import first_boot as unattended
from provision.agent import boot, distributions, first_boot, space
from provision.agent import main as agent
from provision.agent import unattended as alone
from provision.agent.events import End, Error, Event, Hello, Need, Result, Say
from provision.agent.resources import File, Problem
from provision.agent.resources.network.download import Advice
from provision.agent.state import State
from provision.deploy.bundle import RoleSteps, manifest
from provision.first_boot import begin
from provision.settings import Settings
from provision.ssh.loader import START
from tests.support.fakes.host import DISTRIBUTION, Host

CONTENT = b"what is large"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SECRET = File("/etc/x/secret", "hunter2\n", mode=0o600, secret=True)
ROLES = [RoleSteps("one", (), (File("/etc/x/open", "open\n"), SECRET))]


# --- its events -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (Hello("Debian 12", "h", "3.11.2"), ["h: Debian 12, Python 3.11.2"]),
        (Say("base", "reading"), ["  base: reading"]),
        (
            Result("base", "x", "changed", "install x", seconds=1.23),
            ["changed: base: install x (1.2 s)"],
        ),
        (
            Result("base", "x", "failed", "a\nb", hint="try x"),
            ["failed: base: a", "b", " next: try x"],
        ),
        (Error("no root", "log in"), ["error: no root", " next: log in"]),
        (End({"changed": 2, "ok": 3, "removed": 0}, 61.2), ["done: 2 changed, 3 held (61 s)"]),
        (End({"failed": 1, "skipped": 2}, 1), ["failed: 1 failed, 2 not tried (1 s)"]),
        (Need("0a"), []),
    ],
)
def test_events_are_words_in_the_journal(event: Event, lines: list[str]) -> None:
    assert alone.words(event) == lines


def test_a_journal_that_has_gone_does_not_stop_the_run() -> None:
    class Closed(io.BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    channel = alone.Journal(Closed(), {})
    channel.emit(Say("base", "x"))
    assert not channel.gone.is_set()


# --- large inputs ---------------------------------------------------------------------------------


@pytest.fixture
def channel(tmp_path: Path) -> Callable[[str], alone.Journal]:
    def make(place: str) -> alone.Journal:
        (tmp_path / "state" / "blobs").mkdir(parents=True)
        made = alone.Journal(io.BytesIO(), {DIGEST: place})
        made.listen(State(str(tmp_path / "state")))
        return made

    return make


def test_an_input_on_the_machine_is_used_where_it_lies(
    channel: Callable[[str], alone.Journal], tmp_path: Path
) -> None:
    file = tmp_path / "input"
    file.write_bytes(CONTENT)
    with channel(str(file)).blob(DIGEST) as path:
        assert path == str(file)
    assert file.exists(), "a run that is cut off needs it again"


@pytest.mark.parametrize("content", [None, b"what is largf"])
def test_an_input_that_is_damaged_is_not_used(
    channel: Callable[[str], alone.Journal], tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "input").write_bytes(content)
    line = channel(str(tmp_path / "input"))
    with pytest.raises(Problem, match="input is missing or damaged"), line.blob(DIGEST):
        pytest.fail("it was used")


def test_an_input_nobody_told_of_is_a_problem(channel: Callable[[str], alone.Journal]) -> None:
    with pytest.raises(Problem, match="a large input is missing"), channel("x").blob("0b" * 32):
        pytest.fail("it was used")


def test_an_input_from_the_web_is_checked_and_goes_after_use(
    channel: Callable[[str], alone.Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(speaker: alone.Journal, url: str, sha256: str, path: str, advice: Advice) -> None:
        asked.append((url, sha256))
        assert "user-data" in advice.wrong
        speaker.say("downloading")
        Path(path).write_bytes(CONTENT)

    monkeypatch.setattr(alone, "download", download)
    with channel("https://x/image.tar").blob(DIGEST) as path:
        assert Path(path).read_bytes() == CONTENT
    assert not Path(path).exists()
    assert asked == [("https://x/image.tar", DIGEST)]


# --- the bundle -----------------------------------------------------------------------------------


def unpacked(content: bytes) -> dict[str, Any]:
    """The manifest of a bundle."""
    source = io.BytesIO(lzma.decompress(content))
    assert source.readline() == START
    source.read(int(source.readline()))
    told: dict[str, Any] = json.loads(source.read(int(source.readline())))
    return told


def test_secrets_travel_apart_and_come_together_on_the_machine(
    hub: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unattended, "SECRETS", str(tmp_path / "secrets.json"))
    made = unattended.bundle(hub(), ROLES, {DIGEST: "https://x/y"})
    assert b"hunter2" not in lzma.decompress(made.content)
    assert "hunter2" not in repr(made)
    told = unpacked(made.content)
    assert told["unattended"]["blobs"] == {DIGEST: "https://x/y"}
    (tmp_path / "secrets.json").write_text(json.dumps(dict(made.secrets)))
    alone.complete(told)
    assert told["roles"] == json.loads(json.dumps(manifest(hub(), ROLES, mode="apply")["roles"]))


def test_a_secret_that_the_machine_was_not_given_is_a_problem(
    hub: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unattended, "SECRETS", str(tmp_path / "secrets.json"))
    told = unpacked(unattended.bundle(hub(), ROLES, {}).content)
    with pytest.raises(Problem, match="does not hold file:/etc/x/secret"):
        alone.complete(told)


# --- the whole run --------------------------------------------------------------------------------


@pytest.fixture
def machine(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with the files that a first boot needs."""
    monkeypatch.setattr(first_boot, "FOLDER", host.path(first_boot.FOLDER))
    monkeypatch.setattr(first_boot, "FILES", tuple(map(host.path, first_boot.FILES)))
    for path in (*first_boot.FILES, f"{first_boot.FOLDER}/x"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: host.commands.append(argv))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(distributions, "here", lambda: DISTRIBUTION)
    monkeypatch.setattr(space, "require", lambda *_: None)
    monkeypatch.setattr(boot, "ask", lambda *_: "running\n")
    return host


def run(host: Host, *files: File, mode: str = "apply", complete: bool = True, driver: bool = False) -> int:
    """The exit code of the whole program."""
    role = {"name": "one", "needs": [], "resources": [file.to_json() for file in files]}
    told: dict[str, Any] = {"mode": mode, "state": host.path("/var/lib/hubwright"), "complete": complete}
    told |= {"options": {}, "environment": {}, "roles": [role]}
    if not driver:
        told["unattended"] = {"blobs": {}, "withheld": [], "secrets": ""}
    text = json.dumps(told).encode()
    codes: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "_exit", codes.append)
        patch.setattr(os, "umask", lambda _: 0)
        reader, writer = os.pipe()  # a driver stays on the line
        os.write(writer, b"%d\n" % len(text) + text)
        agent.start(os.fdopen(reader, "rb"))
        os.close(writer)
    return codes[0]


def left(host: Host) -> set[str]:
    places = (*first_boot.FILES, first_boot.FOLDER)
    return {path.removeprefix(str(host.folder)) for path in places if os.path.lexists(path)}


def test_a_first_boot_that_ends_well_leaves_nothing_of_itself(
    machine: Host, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run(machine, File(machine.path("/etc/x"), "x\n")) == 0
    assert Path(machine.path("/etc/x")).read_text() == "x\n"
    assert left(machine) == set()
    assert machine.commands == [], "a reload would end a unit that has no file and takes long"
    assert "done: 1 changed (0 s)" in capfdbinary.readouterr().out.decode()


def test_a_first_boot_that_fails_says_so_and_is_there_at_the_next(
    machine: Host, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = left(machine)
    assert len(before) == 6
    assert run(machine, File(machine.path("/nowhere/x"), "x\n")) == 1
    assert left(machine) == before
    assert "failed: one: " in capfdbinary.readouterr().out.decode()


@pytest.mark.parametrize(
    ("options", "stays"),
    [({}, False), ({"complete": False}, True), ({"mode": "plan"}, True)],
    ids=["apply", "apply --only", "plan"],
)
def test_a_driver_that_makes_the_machine_whole_takes_the_first_boot_s_place(
    machine: Host, options: dict[str, Any], stays: bool
) -> None:
    """The next boot must not bring older settings back."""
    assert run(machine, File(machine.path("/etc/x"), "x\n"), driver=True, **options) == 0
    assert bool(left(machine)) == stays


def test_a_driver_s_run_that_fails_still_ends_with_code_0(machine: Host) -> None:
    """The events tell of the failure."""
    assert run(machine, File(machine.path("/nowhere/x"), "x\n"), driver=True) == 0
    assert left(machine)


# --- how it begins --------------------------------------------------------------------------------

PACKED = lzma.compress(CONTENT)
TOLD = {
    "loader": "import sys",
    "sha256": hashlib.sha256(PACKED).hexdigest(),
    "size": len(PACKED),
    "url": "https://x/hub.xz",
    "trusted": "",
}


class Web:
    """A urllib opener that gives each answer in turn."""

    def __init__(self, *answers: Exception | bytes) -> None:
        self.answers = list(answers)
        self.trusts: list[str] = []

    def open(self, url: str, timeout: float) -> Any:  # noqa: ARG002
        assert url == TOLD["url"]
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response: Any = io.BytesIO(answer)
        response.headers = {"Content-Length": str(len(PACKED))} if len(answer) < len(PACKED) else {}
        response.headers.setdefault("Content-Length", str(len(answer)))
        return response

    def load_verify_locations(self, *, cadata: str) -> None:
        self.trusts.append(cadata)


SILENT = urllib.error.URLError("connection refused")


def status(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("", code, "told so", email.message.Message(), None)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Web]:
    """A web with these answers, and a folder for the program."""

    def make(*answers: Exception | bytes) -> Web:
        made = Web(*answers)
        monkeypatch.setattr(urllib.request, "build_opener", lambda *_: made)
        monkeypatch.setattr(urllib.request, "HTTPSHandler", lambda **_: None)
        monkeypatch.setattr("ssl.create_default_context", lambda: made)
        return made

    monkeypatch.setattr(begin, "HERE", tmp_path)
    monkeypatch.setattr(begin, "BUNDLE", tmp_path / "bundle.xz")
    monkeypatch.setattr("time.sleep", lambda _: None)
    return make


@pytest.mark.parametrize("answers", [[PACKED], [SILENT, PACKED], [PACKED[:9], status(503), PACKED]])
def test_the_bundle_is_fetched_until_it_arrives_whole(
    web: Callable[..., Web], tmp_path: Path, answers: list[Any]
) -> None:
    there = web(*answers)
    assert begin.bundle({**TOLD, "trusted": "PEM"}) == CONTENT
    assert there.answers == []
    assert there.trusts == ["PEM"]
    web()  # from now on no server answers: the next boot has all that this one fetched
    assert begin.bundle(TOLD) == CONTENT
    (tmp_path / "bundle.xz").write_bytes(PACKED[:9])
    web(PACKED)
    assert begin.bundle(TOLD) == CONTENT


@pytest.mark.parametrize(
    ("answers", "told", "words"),
    [
        ([status(404)], TOLD, "hub.xz cannot be fetched: HTTP Error 404: told so\n next: check that it is"),
        ([SILENT] * 9, TOLD, "cannot be fetched: connection refused"),
        ([PACKED[:-1] + b"?"], TOLD, "is not what was expected, and was not run\nits SHA-256 is  "),
        ([PACKED + b"?"], TOLD, "is not what was expected"),
        ([], {**TOLD, "url": ""}, "bundle.xz is damaged"),
    ],
)
def test_a_bundle_that_is_not_right_is_not_run(
    web: Callable[..., Web],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    answers: list[Any],
    told: dict[str, Any],
    words: str,
) -> None:
    there = web(*answers)
    if not told["url"]:
        (tmp_path / "bundle.xz").write_bytes(b"?")
    with pytest.raises(SystemExit) as ended:
        begin.bundle(told)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert words in said
    assert "systemctl start hubwright-first-boot" in said
    assert there.answers == []


def test_no_more_is_read_than_was_promised(web: Callable[..., Web]) -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size == TOLD["size"] + 1  # type: ignore[operator]
            return b"?" * size

    there = web()
    answer: Any = Endless()
    answer.headers = {"Content-Length": "0"}
    there.open = lambda *_, **__: answer  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        begin.bundle(TOLD)


def test_the_agent_gets_the_bundle_on_its_standard_input(
    web: Callable[..., Web], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web(PACKED)
    (tmp_path / "first-boot.json").write_text(json.dumps(TOLD))
    (tmp_path / "secrets.json").write_text(json.dumps({"environment": '{"https_proxy": "http://p:3128"}'}))
    monkeypatch.setattr(begin, "SECRETS", tmp_path / "secrets.json")
    monkeypatch.setattr(os, "environ", {})
    became: list[Any] = []
    duplicated: list[bytes] = []

    def dup2(source: int, target: int) -> None:
        assert target == 0
        duplicated.append(os.read(source, 1 << 20))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "dup2", dup2)
        patch.setattr(os, "sync", lambda: None)
        patch.setattr(os, "execv", lambda *words: became.append(words))
        begin.main()
    assert duplicated == [CONTENT]
    assert os.environ == {"https_proxy": "http://p:3128"}, "the fetch and the agent go the same way"
    assert became == [(sys.executable, [sys.executable, "-c", "import sys"])]
