"""Rounds of the sender, over a hub, a StatsD and a Graphite that come and go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import host_measures
import hub_metrics
import pytest

URLS = {"hub": "http://hub/metrics", "health": "http://graphite/health"}
WELL = json.dumps({"carbon": True, "statsd": True})
TOKEN = "correct-horse-battery"


@dataclass
class World:
    """Answers to the sender, and all that StatsD was told. An answer that is an exception is raised."""

    hub: Any = ""
    health: Any = WELL
    told: list[tuple[str, str, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    asked: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def fetch(self, url: str, headers: Mapping[str, str]) -> str:
        self.asked[url] = headers
        answer = self.hub if url == URLS["hub"] else self.health
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    # a StatsClient, and its pipeline
    def pipeline(self) -> World:
        return self

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def gauge(self, name: str, value: float) -> None:
        self.told.append(("gauge", name, value))

    def incr(self, name: str, count: int) -> None:
        self.told.append(("count", name, count))

    def timing(self, name: str, value: float) -> None:
        self.told.append(("time", name, value))

    def of(self, *kinds: str) -> list[tuple[str, float]]:
        found = [(name, value) for kind, name, value in self.told if kind in kinds]
        self.told.clear()
        return found


def metrics(started: int, logouts: int, spawns: int = 0, seconds: float = 0) -> str:
    return (
        f"process_start_time_seconds {started}\njupyterhub_running_servers 2\n"
        f"jupyterhub_logout_duration_seconds_count {logouts}\n"
        f'jupyterhub_server_spawn_duration_seconds_count{{status="success"}} {spawns}\n'
        f'jupyterhub_server_spawn_duration_seconds_sum{{status="success"}} {seconds}\n'
    )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(host_measures, "read", lambda: {"host.load": 0.5})
    return World(metrics(1, 0))


def sender(world: World, folder: Path) -> hub_metrics.Sender:
    """A program that has just started, with the ledger of the one before it."""
    return hub_metrics.Sender(world.fetch, world, folder / "ledger.json", URLS, TOKEN, world.said.append)


def test_a_round_tells_what_was_added_since_the_last_one(world: World, tmp_path: Path) -> None:
    program = sender(world, tmp_path)
    program.round()
    assert world.of("gauge") == [("hub.up", 1), ("users.running", 2.0), ("host.load", 0.5)]
    world.hub = metrics(1, 3, spawns=2, seconds=5)
    program.round()
    assert world.of("count", "time") == [("logout", 3), ("spawner.success", 2500), ("spawner.success", 2500)]
    program.round()
    assert world.of("count", "time") == []
    assert world.asked[URLS["hub"]] == {"Authorization": f"token {TOKEN}"}
    assert world.asked[URLS["health"]] == {}


@pytest.mark.parametrize(
    "away",
    [
        OSError("connection refused"),
        json.dumps({"carbon": True, "statsd": False}),
        "<html>",
        "{}",
    ],
)
def test_what_statsd_cannot_hear_is_told_later(world: World, tmp_path: Path, away: Any) -> None:
    program = sender(world, tmp_path)
    program.round()
    world.of("gauge")
    world.health = away
    for logouts in (2, 5):
        world.hub = metrics(1, logouts)
        program.round()
    world.hub = metrics(2, 1)  # the hub restarts meanwhile
    sender(world, tmp_path).round()  # and so does the program
    assert world.told == []
    world.health = WELL
    sender(world, tmp_path).round()
    assert world.of("count") == [("logout", 6)]
    assert len([line for line in world.said if line.startswith("StatsD: does not")]) == 2  # once a program


def test_a_hub_that_is_away_is_told_and_not_more(world: World, tmp_path: Path) -> None:
    program = sender(world, tmp_path)
    program.round()
    world.of("gauge")
    world.hub = OSError("connection refused")
    program.round()
    program.round()
    assert world.of("gauge", "count") == [("hub.up", 0), ("host.load", 0.5)] * 2
    assert world.said == ["the hub: its metrics cannot be read: connection refused"]
    world.hub = metrics(2, 4)
    program.round()
    assert world.of("count") == [("logout", 4)]
    assert world.said[1:] == ["the hub: well again"]
    assert TOKEN not in " ".join(world.said)


def test_a_restart_of_the_program_forgets_nothing(world: World, tmp_path: Path) -> None:
    sender(world, tmp_path).round()
    world.hub = metrics(1, 4)
    sender(world, tmp_path).round()
    assert world.of("count") == [("logout", 4)]


@pytest.mark.parametrize("text", ["", "half a li", "[]", "{}", '{"started": "x"}', "null"])
def test_a_file_that_makes_no_sense_is_a_new_beginning(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ledger.json"
    file.write_text(text)
    assert hub_metrics.load(file).started == 0


def test_a_file_that_cannot_be_written_stops_nothing(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = sender(world, tmp_path / "gone")
    program.round()
    world.hub = metrics(1, 1)
    program.round()
    assert world.of("count") == [("logout", 1)]
    assert "cannot remember" in capsys.readouterr().err


# --- the host -------------------------------------------------------------------------------------

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ([], 0),
        ([ID], 1),
        ([f"docker-{ID}.scope"], 1),
        ([ID, f"docker-{ID}.scope"], 1),
        ([ID, "f" * 64, "docker.service", f"crio-{ID}.scope", "buildkit"], 2),
    ],
)
def test_containers_are_counted_by_their_control_groups(names: list[str], number: int) -> None:
    assert len(host_measures.containers(names)) == number


def test_memory() -> None:
    text = "MemTotal:       2048 kB\nMemFree:  1 kB\nMemAvailable:    512 kB\nHugePages_Total:       0\n"
    assert host_measures.parse_memory(text) == (2048 * 1024, 512 * 1024)


@pytest.mark.parametrize(
    ("text", "root"),
    [
        (None, "/var/lib/docker"),
        ("{", "/var/lib/docker"),
        ("[]", "/var/lib/docker"),
        ('{"data-root": "/srv/docker"}', "/srv/docker"),
    ],
)
def test_the_disk_is_the_one_that_docker_writes_to(tmp_path: Path, text: str | None, root: str) -> None:
    if text is not None:
        (tmp_path / "daemon.json").write_text(text)
    assert host_measures.data_root(tmp_path / "daemon.json") == root
