"""The agent's loop, with things in memory in place of resources of a real host."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from provision.agent.resources import KINDS, Problem
from provision.agent.state import State
from tests.support.fakes.things import A, B, C, Driver, Thing


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


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


def test_a_clock_that_no_certificate_fits_is_named_whichever_program_says_so(driver: Driver) -> None:
    run = driver.prepare(one=[A])
    said = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid"
    run._fail("one", "thing:a", Problem(said, "check the proxy"))
    assert "the host's clock is slow: it says 20" in driver.results[0]["hint"]


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


def test_nothing_is_changed_on_a_host_where_something_is_impossible(driver: Driver) -> None:
    driver(a=[Thing("old")])
    Thing.log.clear()
    done = driver(a=[Thing("new")], b=(["a"], [Thing("bad", behaviour="impossible")]))
    assert done == {"bad": "failed"}
    assert driver.results[0]["hint"] == "choose another place"
    assert Thing.log == []
    assert not driver.run.is_complete


def test_a_failed_look_ahead_is_in_the_journal(driver: Driver) -> None:
    driver(a=[Thing("old")])
    driver(a=[Thing("bad", behaviour="impossible")])
    assert driver.run.state.last_run_failed()
