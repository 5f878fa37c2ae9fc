"""The agent's loop, with things in memory in place of resources of a real host."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from provision.agent import boot, code_cache, distributions, state
from provision.agent import main as agent
from provision.agent.channel import Channel
from provision.agent.distributions import Distribution
from provision.agent.loop import Run
from provision.agent.machine import LocalMachine
from provision.agent.resources import KINDS, Change, File, Machine, Problem, Resource
from provision.agent.state import State
from tests.support.fakes.host import DISTRIBUTION


@dataclass(frozen=True)
class Thing(Resource):
    """A resource that holds when `world` says so. `behaviour` names a side effect of apply, see below."""

    name: str
    value: str = "x"
    behaviour: str = ""

    world: ClassVar[dict[str, str]] = {}
    log: ClassVar[list[str]] = []
    together: ClassVar[threading.Barrier]

    @property
    def id(self) -> str:
        return f"thing:{self.name}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        if self.behaviour == "cannot tell":
            return Change(f"make {self.name}", unknown=True)
        if self.behaviour == "breaks in check":
            raise ValueError("cannot be checked")
        return None if self.world.get(self.name) == self.value else Change(f"make {self.name}", "+x")

    def apply(self, machine: Machine) -> None:
        machine.claim(self, created=True)
        self.log.append(f"begin {self.name}")
        if self.behaviour == "fails":
            raise Problem(f"{self.name} is broken", "mend it")
        if self.behaviour == "breaks":
            raise ValueError("a fault")
        if self.behaviour == "full":
            raise OSError(errno.ENOSPC, "No space left on device", "/opt/x")
        if self.behaviour == "killed":
            raise KeyboardInterrupt
        if self.behaviour == "meets":
            self.together.wait(timeout=10)
        if self.behaviour == "slow":
            time.sleep(0.05)
        if self.behaviour != "forgets":
            self.world[self.name] = self.value
        self.log.append(f"end {self.name}")

    def remove(self, machine: Machine) -> str | None:
        if self.behaviour == "in use" or (self.behaviour == "in use by a" and "a" in self.world):
            return "somebody still uses it"
        if self.behaviour == "stuck":
            raise Problem(f"{self.name} cannot go")
        if machine.claims(self).get("created"):
            self.log.append(f"remove {self.name}")
            self.world.pop(self.name, None)
        return None


class Driver:
    """A driver that runs manifests against one folder of state, and keeps the last run's events."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run: Run

    def __call__(self, mode: str = "apply", *, complete: bool = True, **roles: Any) -> dict[str, str]:
        """Status by name of every thing that was not true. A role is a list of things, or (needs, things)."""
        self.prepare(complete=complete, **roles)
        self.run.plan() if mode == "plan" else self.run.apply()
        return {event["id"].removeprefix("thing:"): event["status"] for event in self.results}

    def prepare(self, *, complete: bool = True, **roles: Any) -> Run:
        pairs = {name: role if isinstance(role, tuple) else ((), role) for name, role in roles.items()}
        manifest = {
            "complete": complete,
            "options": {},
            "roles": [
                {"name": name, "needs": needs, "resources": [thing.to_json() for thing in things]}
                for name, (needs, things) in pairs.items()
            ],
        }
        self.sink = io.BytesIO()
        copied = json.loads(json.dumps(manifest))
        self.run = Run(copied, Channel(io.BytesIO(), self.sink), State(str(self.folder)), DISTRIBUTION)
        return self.run

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.sink.getvalue().splitlines()]

    @property
    def results(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "result"]

    @property
    def journal(self) -> list[dict[str, Any]]:
        path = self.folder / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def applied(self) -> list[str]:
        return [name.removeprefix("thing:") for name in State(str(self.folder)).applied]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setitem(KINDS, "Thing", Thing)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    monkeypatch.setattr(state, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(code_cache, "FOLDER", str(tmp_path / "code"))
    monkeypatch.setattr(Thing, "world", {})
    monkeypatch.setattr(Thing, "log", [])
    return Driver(tmp_path / "state")


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


A, B, C = Thing("a"), Thing("b"), Thing("c")


def test_the_second_run_changes_nothing_and_writes_nothing(driver: Driver) -> None:
    assert driver(one=[A, B]) == {"a": "changed", "b": "changed"}
    before = files(driver.folder)
    assert driver(one=[A, B]) == {}
    assert driver.run.count == {"ok": 2}
    assert files(driver.folder) == before
    assert [line["changed"] for line in driver.journal] == [["thing:a", "thing:b"]]


def test_a_thing_that_does_not_hold_after_apply_fails_the_run(driver: Driver) -> None:
    assert driver(one=[Thing("a", behaviour="forgets"), B]) == {"a": "failed", "b": "skipped"}
    assert "was applied, and still has to make a" in driver.results[0]["summary"]


@pytest.mark.parametrize(
    ("behaviour", "what", "hint"),
    [
        ("fails", "a is broken", "mend it"),
        ("breaks", "ValueError: a fault", "report it"),
        ("breaks in check", "ValueError: cannot be checked", "report it"),
        ("full", "/opt/x: No space left on device", "free some space"),
    ],
)
def test_a_failure_says_what_and_what_next(driver: Driver, behaviour: str, what: str, hint: str) -> None:
    assert driver(one=[Thing("a", behaviour=behaviour)]) == {"a": "failed"}
    (event,) = driver.results
    assert (event["role"], event["summary"]) == ("one", what)
    assert hint in event["hint"]
    assert ("Traceback" in event["trace"]) == (behaviour != "fails")


def test_a_program_that_finds_no_space_gets_the_same_hint(driver: Driver) -> None:
    run = driver.prepare(one=[A])
    run._fail("one", "thing:a", Problem("dpkg: error: No space left on device", "something else"))
    assert "free some space" in driver.results[0]["hint"]


def test_a_failure_stops_its_role_and_what_needs_it_and_nobody_else(driver: Driver) -> None:
    broken = Thing("broken", behaviour="fails")
    statuses = driver(
        one=[broken, A],
        two=(("one",), [B]),
        three=(("two",), [C]),
        other=[Thing("d")],
    )
    assert statuses == {"broken": "failed", "a": "skipped", "b": "skipped", "c": "skipped", "d": "changed"}
    assert Thing.world == {"d": "x"}
    reasons = {event["id"]: event["summary"] for event in driver.results}
    assert reasons["thing:a"] == "one has failed"
    assert reasons["thing:b"] == "needs one, which has failed"
    assert driver.journal[-1]["failed"] == ["one"]
    assert driver.journal[-1]["skipped"] == ["three", "two"]


def test_roles_wait_for_what_they_need(driver: Driver) -> None:
    driver(late=(("early",), [A, B]), early=[Thing("slow", behaviour="slow")])
    assert Thing.log == ["begin slow", "end slow", "begin a", "end a", "begin b", "end b"]


def test_roles_that_do_not_need_each_other_run_side_by_side(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Thing, "together", threading.Barrier(2), raising=False)
    statuses = driver(one=[Thing("a", behaviour="meets")], two=[Thing("b", behaviour="meets")])
    assert statuses == {"a": "changed", "b": "changed"}


# --- removal --------------------------------------------------------------------------------------


def test_what_is_no_longer_wanted_goes_the_latest_first(driver: Driver) -> None:
    driver(one=[A, B], two=(("one",), [C]))
    Thing.log.clear()
    assert driver(one=[B]) == {"c": "removed", "a": "removed"}
    assert Thing.log == ["remove c", "remove a"]
    assert driver.applied == ["b"]
    assert driver(one=[B]) == {}


def test_nothing_goes_after_a_failure(driver: Driver) -> None:
    driver(one=[A])
    assert driver(one=[Thing("b", behaviour="fails")]) == {"b": "failed"}
    assert Thing.world == {"a": "x"}


def test_what_was_true_before_us_stays(driver: Driver) -> None:
    Thing.world["a"] = "x"
    driver(one=[A, B])
    assert driver(one=[]) == {"a": "removed", "b": "removed"}
    assert Thing.world == {"a": "x"}


def test_a_run_of_some_roles_leaves_the_others_alone(driver: Driver) -> None:
    driver(one=[A, B], two=[C])
    assert driver(complete=False, one=[A]) == {"b": "removed"}
    assert driver("plan", complete=False, one=[]) == {"a": "would-remove"}
    assert driver.applied == ["a", "c"]


def test_what_cannot_go_yet_is_kept_and_tried_again(driver: Driver) -> None:
    driver(one=[Thing("a", behaviour="in use"), B])
    assert driver(one=[]) == {"b": "removed", "a": "kept"}
    assert driver.results[1]["summary"] == "keep thing:a for now: somebody still uses it"
    assert driver.applied == ["a"]
    assert driver(one=[]) == {"a": "kept"}


def test_what_another_one_uses_goes_after_it(driver: Driver) -> None:
    """Such as an image renewed after the unit that runs it: made later, it would be removed first."""
    driver(one=[A, Thing("b", behaviour="in use by a")])
    assert driver(one=[]) == {"a": "removed", "b": "removed"}
    assert driver.applied == []


def test_a_removal_that_fails_stops_the_others(driver: Driver) -> None:
    driver(one=[A, Thing("b", behaviour="stuck")])
    assert driver(one=[]) == {"b": "failed"}
    assert driver.applied == ["a", "b"]


def test_a_kind_that_this_version_lacks_is_kept(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(one=[A])
    monkeypatch.delitem(KINDS, "Thing")
    assert driver(one=[]) == {"a": "kept"}


def test_uninstalling_leaves_no_trace_of_the_agent(driver: Driver, tmp_path: Path) -> None:
    State.lock()
    driver(one=[A, B])
    assert driver() == {"b": "removed", "a": "removed"}
    assert Thing.world == {}
    assert list(tmp_path.iterdir()) == []


def test_a_failure_before_the_first_change_ends_in_order(driver: Driver, tmp_path: Path) -> None:
    """There is no folder for a journal yet."""
    assert driver(one=[Thing("a", behaviour="breaks in check")]) == {"a": "failed"}
    assert list(tmp_path.iterdir()) == []


# --- runs that are cut short ----------------------------------------------------------------------


def test_what_a_killed_run_was_about_to_make_is_on_disk(driver: Driver) -> None:
    killed = Thing("a", behaviour="killed")
    run = driver.prepare(one=[killed])
    with pytest.raises(KeyboardInterrupt):
        run._apply_resource(run.roles[0], run.roles[0].resources[0], LocalMachine("one", run.shared))
    assert State(str(driver.folder)).applied["thing:a"].claims == {"created": True}

    assert driver(one=[A]) == {"a": "changed"}
    assert driver() == {"a": "removed"}
    assert Thing.world == {}


def test_a_file_that_was_there_survives_a_killed_run(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs\n")
    monkeypatch.setattr("provision.agent.resources.files.file.set_access", lambda *_: None)
    wanted = File(str(theirs), "ours\n")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("provision.agent.resources.files.file.write_atomically", killed)
        run = driver.prepare(one=[wanted])
        with pytest.raises(KeyboardInterrupt):
            run._apply_resource(run.roles[0], wanted, LocalMachine("one", run.shared))
    monkeypatch.setattr("provision.agent.resources.files.file._access_change", lambda *_: None)
    assert list(driver(one=[wanted]).values()) == ["changed"]
    assert theirs.read_text() == "ours\n"
    driver()
    assert theirs.read_text() == "theirs\n"


def test_a_driver_that_goes_away_stops_the_run_between_two_resources(driver: Driver) -> None:
    run = driver.prepare(one=[A, B])
    run.channel.gone.set()
    run.apply()
    assert [event["status"] for event in driver.results] == ["skipped", "skipped"]
    assert driver.results[0]["summary"] == "the driver has gone"
    assert Thing.world == {}


# --- plan -----------------------------------------------------------------------------------------


def test_a_plan_changes_nothing(driver: Driver, tmp_path: Path) -> None:
    Thing.world["b"] = "old"
    statuses = driver("plan", one=[A, B, Thing("c", behaviour="cannot tell")])
    assert statuses == {"a": "would-change", "b": "would-change", "c": "unknown"}
    assert (Thing.world, Thing.log) == ({"b": "old"}, [])
    assert list(tmp_path.iterdir()) == []


def test_a_plan_goes_on_after_a_check_that_breaks(driver: Driver) -> None:
    assert driver("plan", one=[Thing("a", behaviour="breaks in check"), B]) == {
        "a": "failed",
        "b": "would-change",
    }


def test_a_plan_names_what_would_go(driver: Driver) -> None:
    driver(one=[A, B])
    assert driver("plan", one=[A]) == {"b": "would-remove"}
    assert Thing.world == {"a": "x", "b": "x"}


# --- state ----------------------------------------------------------------------------------------


def test_the_record_of_a_secret_file_lacks_its_text(tmp_path: Path, driver: Driver) -> None:
    State(str(driver.folder)).record("one", File(str(tmp_path / "x"), "hunter2", secret=True))
    assert "hunter2" not in (driver.folder / "applied.json").read_text()
    assert (driver.folder / "applied.json").stat().st_mode & 0o777 == 0o600


def test_a_state_of_another_version_is_refused(driver: Driver) -> None:
    driver.folder.mkdir()
    (driver.folder / "applied.json").write_text('{"version": 2}')
    with pytest.raises(Problem, match="another version of hubwright"):
        State(str(driver.folder))


def test_two_runs_at_once_are_refused_with_who_and_since_when(driver: Driver) -> None:  # noqa: ARG001
    State.lock()
    with pytest.raises(
        Problem, match=rf"another run holds the lock \(pid {os.getpid()}, since 20\d\d-.*Z\)"
    ) as caught:
        State.lock()
    assert "wait for it" in caught.value.hint


def test_a_lock_whose_file_was_taken_away_is_taken_again(driver: Driver) -> None:  # noqa: ARG001
    """The run that uninstalls removes the file; a run that waited for it must not hold a lock on nothing."""
    State.lock()
    Path(state.LOCK).unlink()
    State.lock()
    with Path(state.LOCK).open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# --- the whole program ----------------------------------------------------------------------------


@pytest.fixture
def program(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Runs the agent's main with a manifest, and returns its events. The driver stays on the line."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(distributions, "here", lambda: DISTRIBUTION)
    monkeypatch.setattr(distributions, "require_space", lambda *_: None)
    monkeypatch.setattr(boot, "ask", lambda *_: "running\n")

    def main(mode: str, *things: Resource, **environment: str) -> list[dict[str, Any]]:
        sink = io.BytesIO()
        role = {"name": "one", "needs": [], "resources": [thing.to_json() for thing in things]}
        folder = str(driver.folder)
        manifest = {"mode": mode, "state": folder, "complete": True, "options": {}, "roles": [role]}
        manifest["environment"] = environment
        reader, writer = os.pipe()
        line.callback(os.close, writer)
        agent.main(os.fdopen(reader, "rb"), sink, manifest)
        return [json.loads(text) for text in sink.getvalue().splitlines()]

    with ExitStack() as line:
        yield main


def test_a_run_s_environment_is_that_of_all_it_starts(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "the host's own")
    monkeypatch.delenv("npm_config_registry", raising=False)
    program("plan", A, HTTP_PROXY="http://proxy:1", npm_config_registry="http://mirror")
    started: list[dict[str, str]] = []

    class Started(Exception):
        pass

    def start(_: object, *, env: dict[str, str], **__: Any) -> None:
        started.append(env)
        raise Started

    monkeypatch.setattr("provision.agent.machine.subprocess.Popen", start)
    with pytest.raises(Started):
        LocalMachine("one", None).run(["apt-get"], env={"LANG": "x"})  # type: ignore[arg-type]
    monkeypatch.delenv("npm_config_registry")
    wanted = {"HTTP_PROXY": "http://proxy:1", "npm_config_registry": "http://mirror", "LANG": "x"}
    assert wanted.items() <= started[0].items()


def test_events_begin_with_hello_and_end_with_the_count(program: Callable[..., Any], tmp_path: Path) -> None:
    first, *_, last = program("plan", A)
    assert (first["event"], first["os"]) == ("hello", "Made-up 1")
    assert (last["event"], last["count"]) == ("end", {"would-change": 1})
    assert not (tmp_path / "lock").exists()


def test_a_second_run_ends_with_the_lock_s_error(program: Callable[..., Any]) -> None:
    State.lock()
    _, error, end = program("apply", A)
    assert error["event"] == "error"
    assert "another run holds the lock" in error["what"]
    assert end["count"] == {"failed": 1}
    assert Thing.world == {}


def test_whoever_meets_a_first_boot_waits_for_it(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    State.lock("first boot")
    held, free = fcntl.flock, []

    def ends(_: float) -> None:
        free.append(True)
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)

    monkeypatch.setattr(time, "sleep", ends)
    said = [event for event in program("apply", A) if event["event"] == "say"]
    monkeypatch.setattr(fcntl, "flock", held)
    assert said[0]["text"].startswith("waiting for the run that is at work (first boot, pid ")
    assert free == [True]
    assert Thing.world == {"a": "x"}


def test_a_plan_needs_no_lock(program: Callable[..., Any]) -> None:
    State.lock()
    assert program("plan", A)[-1]["count"] == {"would-change": 1}


def test_the_lock_is_taken_before_the_state_is_read(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends in between must not be forgotten."""
    seen = []
    read = State.__init__

    def reads(self: State, folder: str) -> None:
        seen.append("read")
        read(self, folder)

    monkeypatch.setattr(State, "lock", lambda _: seen.append("lock"))
    monkeypatch.setattr(State, "__init__", reads)
    program("apply")
    assert seen == ["lock", "read"]


@pytest.mark.parametrize(
    ("error", "what", "hint"),
    [
        (
            Problem("Fedora is not supported", "known are Debian"),
            "Fedora is not supported",
            "known are Debian",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/var"),
            "/var: No space left on device",
            "free some",
        ),
    ],
)
def test_a_host_that_cannot_be_used_is_an_error_event(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: Exception, what: str, hint: str
) -> None:
    def refuse() -> Distribution:
        raise error

    monkeypatch.setattr(distributions, "here", refuse)
    event, end = program("apply", A)
    assert (event["event"], event["what"]) == ("error", what)
    assert hint in event["hint"]
    assert end["count"] == {"failed": 1}


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        ("initializing\n", True),
        ("starting\n", True),
        ("running\n", False),
        ("degraded\n", False),
        ("", False),
    ],
)
def test_a_machine_that_starts_is_given_time_before_anything_is_looked_at(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, answer: str, waits: bool
) -> None:
    asked: list[str] = []

    def ask(*argv: str) -> str:
        asked.append(" ".join(argv))
        Thing.log.append("asked")
        return answer

    monkeypatch.setattr(boot, "ask", ask)
    said = [event["text"] for event in program("apply", A) if event["event"] == "say"]
    assert ("waiting until the host has started" in said) is waits
    assert asked[1:] == (["timeout 120 systemctl is-system-running --wait"] if waits else [])
    assert Thing.log[: len(asked)] == ["asked"] * len(asked), "before the first resource"


def test_what_a_run_claimed_and_did_not_finish_is_known_as_unfinished(driver: Driver) -> None:
    def complete() -> dict[str, bool]:
        return {id_: applied.complete for id_, applied in State(str(driver.folder)).applied.items()}

    State(str(driver.folder)).claim("one", A, created=True)
    assert complete() == {"thing:a": False}
    driver(one=[A])
    assert complete() == {"thing:a": True}
    assert "complete" not in (driver.folder / "applied.json").read_text(), "as an older version wrote it"
    State(str(driver.folder)).claim("one", A, backup="/x")
    assert complete() == {"thing:a": True}


def test_a_run_that_finds_all_well_after_one_that_failed_says_so_once(driver: Driver) -> None:
    broken = Thing("b", behaviour="forgets")
    driver(one=[A, broken])
    assert driver.journal[-1]["failed"] == ["one"]
    Thing.world["b"] = "x"  # by hand
    driver(one=[A, broken])
    assert (driver.journal[-1]["failed"], driver.journal[-1]["changed"]) == ([], [])
    lines = len(driver.journal)
    driver(one=[A, broken])
    assert len(driver.journal) == lines


def test_a_journal_that_cannot_be_written_does_not_hide_the_failure(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "journal.jsonl")

    monkeypatch.setattr(State, "journal", full)
    events = program("apply", A, Thing("b", behaviour="full"))
    failed = [event["id"] for event in events if event.get("status") == "failed"]
    assert failed == ["thing:b", "journal"]
    assert events[-1]["event"] == "end"


def test_space_is_asked_for_before_the_first_run_only(
    program: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, needed: int) -> None:
        raise Problem(f"only little free at {path}, and a hub needs {needed}")

    program("apply", A)
    monkeypatch.setattr(distributions, "require_space", full)
    monkeypatch.setattr(state, "LOCK", f"{state.LOCK}2")
    assert program("apply", A)[-1]["count"] == {"ok": 1}
    monkeypatch.setattr(state, "LOCK", f"{state.LOCK}3")
    assert program("apply")[-1]["count"] == {"removed": 1}
    monkeypatch.setattr(state, "LOCK", f"{state.LOCK}4")
    assert "only little free" in program("apply", A)[-2]["what"]
