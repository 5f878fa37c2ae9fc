"""The bundle for a host: manifest and agent in one byte string."""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision.agent.events import Error, parse
from provision.agent.resources import File
from provision.deploy import bundle
from provision.deploy.bundle import RoleSteps, agent_code, manifest, pack
from provision.settings import Settings
from provision.ssh.loader import LOADER, START
from provision.tools.project import AGENT


def test_the_same_sources_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "agent"
    shutil.copytree(AGENT, copy)
    for number, path in enumerate(sorted(copy.rglob("*.py"), reverse=True)):
        os.utime(path, (number, number))
    (copy / "resources" / "left.pyc").write_bytes(b"")
    monkeypatch.setattr(bundle, "AGENT", copy)
    assert agent_code.__wrapped__() == agent_code()


def test_the_agent_is_sent_whole() -> None:
    with zipfile.ZipFile(io.BytesIO(agent_code())) as archive:
        sent = {name: archive.read(name).decode() for name in archive.namelist()}
    assert sent == {f"agent/{path.relative_to(AGENT)}": path.read_text() for path in AGENT.rglob("*.py")}


@pytest.mark.parametrize("path", sorted(AGENT.rglob("*.py")), ids=lambda path: path.name)
def test_the_agent_is_written_in_python_3_10(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_an_older_python_can_still_say_that_it_is_too_old() -> None:
    ast.parse(LOADER, feature_version=(3, 7))


def test_a_manifest_says_all_that_the_agent_needs(hub: Callable[..., Settings]) -> None:
    file = File("/etc/x", "y\n")
    content = manifest(
        hub("[deploy]\napt_lock_wait = '7s'"),
        [RoleSteps("one", ("base",), (file,))],
        mode="plan",
        complete=False,
    )
    assert content["roles"] == [{"name": "one", "needs": ("base",), "resources": [file.to_json()]}]
    assert (content["mode"], content["complete"], content["options"]) == ("plan", False, {"apt_lock_wait": 7})


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the loader run in this process, and undo all that it changes."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(os, "_exit", sys.exit)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "agent"]:
        del sys.modules[name]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("before", [b"", b"left over by sudo\n", b"\n\nHUBWRIGHT?\n"])
def test_the_loader_runs_the_agent_from_the_bundle(
    hub: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    before: bytes,
) -> None:
    """On any computer, the agent answers with its own events to the end."""
    packed = before + pack(manifest(hub(), [], mode="plan"))
    monkeypatch.setattr(sys, "argv", ["-c", '{"event": "entered"}'])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(packed)))
    with pytest.raises(SystemExit) as ended:
        exec(LOADER, {})
    assert not ended.value.code
    events = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert events.pop(0) == {"event": "entered"}
    assert events[0]["event"] in ("hello", "error")
    assert events[-1]["event"] == "end"
    assert sys.modules["agent"].__file__ is not None
    assert sys.modules["agent"].__file__.startswith("/proc/self/fd/")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("sent", [b"", b"noise\n", START])
def test_the_loader_says_when_nothing_arrives(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(sent)))
    with pytest.raises(SystemExit, match="nothing arrived"):
        exec(LOADER, {})


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("part", ["the agent", "the manifest", "the manifest's size", "the last byte"])
def test_a_bundle_that_is_cut_on_the_wire_is_told_in_words(
    hub: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    part: str,
) -> None:
    packed = pack(manifest(hub(), [], mode="apply"))
    agent = packed.index(agent_code()) + len(agent_code())
    text = packed.index(b"{", agent)
    length = {
        "the agent": agent // 2,
        "the manifest's size": agent,
        "the manifest": (text + len(packed)) // 2,
        "the last byte": len(packed) - 1,
    }[part]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(packed[:length])))
    with pytest.raises(SystemExit) as ended:
        exec(LOADER, {})
    assert ended.value.code == 1
    (line,) = capfdbinary.readouterr().out.splitlines()
    event = parse(line)
    assert isinstance(event, Error)
    assert (event.what, bool(event.hint)) == ("what was sent to the host arrived cut short", True)


def test_the_loader_refuses_an_old_python(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SystemExit):
        exec(LOADER, {})
    event = parse(capsys.readouterr().out)
    assert isinstance(event, Error)
    assert event.what == "python3 is 3.9; 3.10 is the oldest that works"
    assert event.hint


def test_the_loader_hands_over_to_a_python_that_is_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, list[bytes]]] = []
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(os, "access", lambda path, _: path == "/usr/bin/python3.11")
    monkeypatch.setattr(os, "execv", lambda path, words: calls.append((path, words)))
    with pytest.raises(SystemExit):
        exec(LOADER, {})  # this one returns from execv
    ((path, words),) = calls
    assert (path, words[0]) == ("/usr/bin/python3.11", b"/usr/bin/python3.11")
    assert words[1:] == Path("/proc/self/cmdline").read_bytes().split(b"\0")[1:-1]
