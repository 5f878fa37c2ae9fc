"""From Prometheus' text to the numbers for StatsD."""

from __future__ import annotations

import json

import measures
import pytest

STARTED = "process_start_time_seconds 1.79521651931e+09\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a 1", {"a": [(frozenset(), 1.0)]}),
        ("a 1.5e+03 1700000000", {"a": [(frozenset(), 1500.0)]}),
        ('a_total{x="1",y="b c"} 2', {"a_total": [(frozenset({("x", "1"), ("y", "b c")}), 2.0)]}),
        ('a{x="say \\"}\\""} 2', {"a": [(frozenset({("x", 'say \\"}\\"')}), 2.0)]}),
        ('a{status="LoginStatus.success"} 2', {"a": [(frozenset({("status", "success")}), 2.0)]}),
        ('a{handler="pages.RootHandler"} 2', {"a": [(frozenset({("handler", "pages.RootHandler")}), 2.0)]}),
        ("# HELP a 1", {}),
        ("", {}),
        ("<html>", {}),
        ("a many", {}),
    ],
)
def test_a_line(line: str, found: measures.Samples) -> None:
    assert measures.parse(line) == found


@pytest.mark.parametrize(
    ("labels", "value"), [({}, 7.0), ({"a": "1"}, 3.0), ({"a": "1", "b": "2"}, 2.0), ({"a": "9"}, None)]
)
def test_samples_are_added_up(labels: dict[str, str], value: float | None) -> None:
    samples = measures.parse('m{a="1",b="1"} 1\nm{a="1",b="2"} 2\nm{a="2",b="1"} 4\n')
    assert measures.total(samples, "m", labels) == value


def test_a_reading_has_the_old_names() -> None:
    reading = measures.read(
        STARTED + "jupyterhub_running_servers 3\n"
        'jupyterhub_active_users{period="24h"} 5\njupyterhub_active_users{period="7d"} 50\n'
        'jupyterhub_login_duration_seconds_count{status="LoginStatus.success"} 4\n'
        'jupyterhub_login_duration_seconds_sum{status="LoginStatus.success"} 0.5\n'
        'jupyterhub_request_duration_seconds_count{code="302",'
        'handler="jupyterhub.handlers.login.LoginHandler",method="GET"} 6\n'
        'jupyterhub_request_duration_seconds_count{code="403",'
        'handler="jupyterhub.handlers.login.LoginHandler",method="POST"} 9\n'
        'jupyterhub_server_spawn_duration_seconds_count{reason="",status="success"} 2\n'
        'jupyterhub_server_spawn_duration_seconds_sum{reason="",status="success"} 5\n'
        'jupyterhub_server_spawn_duration_seconds_count{reason="throttled",status="failure"} 1\n'
        'jupyterhub_server_spawn_duration_seconds_count{reason="",status="error"} 1\n'
        'hubwright_failed_starts_seconds_count{reason="http_timeout"} 1\n'
        'hubwright_failed_starts_seconds_sum{reason="http_timeout"} 61.5\n'
    )
    assert reading.started == 1795216519.31
    assert reading.gauges == {"users.running": 3.0, "users.active": 5.0}
    assert {name: value for name, value in reading.counters.items() if value} == {
        "login.request": 6.0,
        "login.success": 4.0,
        "spawner.failure.http_timeout": 1.0,
    }
    assert {name: value for name, value in reading.timings.items() if value[0]} == {
        "login.authenticate.success": (4.0, 0.5),
        "spawner.success": (2.0, 5.0),
        "spawner.failure": (1.0, 61.5),
    }


# Metrics of a hub of JupyterHub 6.1.1 and prometheus_client 0.26, before and after: a start that succeeds,
# three that were not ready in time, a container that ended at once, a visitor for whom there was no place,
# and one who asked twice. Lines of other metrics are left out.
CALM = """\
process_start_time_seconds 1.79600358511e+09
jupyterhub_server_spawn_duration_seconds_count{reason="",status="success"} 0.0
jupyterhub_server_spawn_duration_seconds_sum{reason="",status="success"} 0.0
jupyterhub_server_spawn_duration_seconds_count{reason="",status="failure"} 0.0
jupyterhub_server_spawn_duration_seconds_sum{reason="",status="failure"} 0.0
jupyterhub_server_spawn_duration_seconds_count{reason="",status="error"} 0.0
jupyterhub_server_spawn_duration_seconds_sum{reason="",status="error"} 0.0
jupyterhub_server_spawn_duration_seconds_count{reason="too-many-users",status="failure"} 0.0
jupyterhub_server_spawn_duration_seconds_sum{reason="too-many-users",status="failure"} 0.0
jupyterhub_server_spawn_duration_seconds_created{reason="",status="success"} 1.7960035872862115e+09
hubwright_failed_starts_seconds_count{reason="timeout"} 0.0
hubwright_failed_starts_seconds_sum{reason="timeout"} 0.0
hubwright_failed_starts_seconds_count{reason="error"} 0.0
hubwright_failed_starts_seconds_sum{reason="error"} 0.0
hubwright_failed_starts_seconds_count{reason="http_timeout"} 0.0
hubwright_failed_starts_seconds_sum{reason="http_timeout"} 0.0
hubwright_failed_starts_seconds_count{reason="http_error"} 0.0
hubwright_failed_starts_seconds_sum{reason="http_error"} 0.0
hubwright_failed_starts_seconds_created{reason="timeout"} 1.796003587287952e+09
"""
CROWDED = """\
process_start_time_seconds 1.79600358511e+09
jupyterhub_server_spawn_duration_seconds_count{reason="",status="success"} 1.0
jupyterhub_server_spawn_duration_seconds_sum{reason="",status="success"} 2.5
jupyterhub_server_spawn_duration_seconds_count{reason="",status="failure"} 0.0
jupyterhub_server_spawn_duration_seconds_sum{reason="",status="failure"} 0.0
jupyterhub_server_spawn_duration_seconds_count{reason="",status="error"} 4.0
jupyterhub_server_spawn_duration_seconds_sum{reason="",status="error"} 192.5
jupyterhub_server_spawn_duration_seconds_count{reason="too-many-users",status="failure"} 1.0
jupyterhub_server_spawn_duration_seconds_sum{reason="too-many-users",status="failure"} 0.01
jupyterhub_server_spawn_duration_seconds_count{reason="already-pending",status="failure"} 1.0
jupyterhub_server_spawn_duration_seconds_sum{reason="already-pending",status="failure"} 0.01
jupyterhub_server_spawn_duration_seconds_count{reason="exited",status="error"} 1.0
jupyterhub_server_spawn_duration_seconds_sum{reason="exited",status="error"} 10.0
jupyterhub_server_spawn_duration_seconds_created{reason="exited",status="error"} 1.7960035872946095e+09
hubwright_failed_starts_seconds_count{reason="timeout"} 3.0
hubwright_failed_starts_seconds_sum{reason="timeout"} 181.5
hubwright_failed_starts_seconds_count{reason="error"} 1.0
hubwright_failed_starts_seconds_sum{reason="error"} 11.0
hubwright_failed_starts_seconds_count{reason="http_timeout"} 0.0
hubwright_failed_starts_seconds_sum{reason="http_timeout"} 0.0
hubwright_failed_starts_seconds_count{reason="http_error"} 0.0
hubwright_failed_starts_seconds_sum{reason="http_error"} 0.0
hubwright_failed_starts_seconds_created{reason="error"} 1.7960035872879584e+09
"""


def test_each_failed_start_is_counted_once_by_counter_and_timer() -> None:
    ledger = measures.Ledger()
    for text in (CALM, CALM, CROWDED, CROWDED):
        ledger.add(measures.read(text))
    assert ledger.due_counters == {
        "spawner.refused": 1,
        "spawner.failure.timeout": 3,
        "spawner.failure.error": 1,
    }
    assert ledger.due_timings == {"spawner.success": (1, 2.5), "spawner.failure": (4, 192.5)}


def test_the_failures_of_a_hub_that_restarts_between_two_looks_are_all_counted() -> None:
    ledger = measures.Ledger()
    restarted = CROWDED.replace("1.79600358511e+09", "1.79600360000e+09")
    for text in (CALM, CROWDED, restarted):
        ledger.add(measures.read(text))
    assert ledger.due_counters["spawner.failure.timeout"] == 6
    assert ledger.due_timings["spawner.failure"] == (8, 385)


@pytest.mark.parametrize("text", ["", "<html>Login</html>", "jupyterhub_running_servers 3"])
def test_what_is_not_the_hub_s_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="process_start_time_seconds"):
        measures.read(text)


def reading(started: float, count: float, times: tuple[float, float] = (0.0, 0.0)) -> measures.Reading:
    return measures.Reading(started, {}, {"logout": count}, {"spawner.stop": times})


@pytest.mark.parametrize(
    ("counts", "due"),
    [
        ([(1, 7)], 0),
        ([(1, 7), (1, 7)], 0),
        ([(1, 7), (1, 9)], 2),
        ([(1, 7), (1, 9), (1, 10)], 3),
        ([(1, 7), (2, 2)], 2),
        ([(1, 7), (2, 9)], 9),
        ([(1, 7), (1, 3)], 3),
        ([(1, 7), (1, 9), (2, 0), (2, 1)], 3),
        ([(1, 7), (1, 9), (2, 4), (3, 1)], 7),
    ],
    ids=[
        "the first is where it begins",
        "nothing new",
        "grown",
        "grown twice",
        "a restart of the hub",
        "a restart that is past the old count already",
        "a restart between two rounds",
        "a restart to nothing",
        "two restarts",
    ],
)
def test_what_is_due_is_all_that_was_seen_and_never_negative(
    counts: list[tuple[float, float]], due: float
) -> None:
    ledger = measures.Ledger()
    for started, count in counts:
        ledger.add(reading(started, count))
        assert all(value > 0 for value in ledger.due_counters.values())
    assert ledger.due_counters.get("logout", 0) == due


@pytest.mark.parametrize(
    ("times", "due"),
    [
        ([(1, (2, 5.0)), (1, (2, 5.0))], None),
        ([(1, (2, 5.0)), (1, (3, 9.0))], (1, 4.0)),
        ([(1, (2, 5.0)), (2, (1, 9.0))], (1, 9.0)),
        ([(1, (2, 5.0)), (1, (1, 9.0))], (1, 9.0)),
        ([(1, (2, 5.0)), (1, (3, 6.0)), (1, (4, 8.0))], (2, 3.0)),
    ],
)
def test_number_and_sum_of_times_go_together(
    times: list[tuple[float, tuple[float, float]]], due: tuple[float, float] | None
) -> None:
    ledger = measures.Ledger()
    for started, both in times:
        ledger.add(reading(started, 0, both))
    assert ledger.due_timings.get("spawner.stop") == due


def test_a_ledger_comes_back_from_its_file() -> None:
    ledger = measures.Ledger()
    ledger.add(reading(1, 7))
    ledger.add(reading(1, 9, (1, 2.5)))
    assert measures.Ledger.from_json(json.loads(json.dumps(vars(ledger)))) == ledger
    ledger.settle()
    assert (ledger.due_counters, ledger.due_timings) == ({}, {})
    assert ledger.counters == {"logout": 9}
