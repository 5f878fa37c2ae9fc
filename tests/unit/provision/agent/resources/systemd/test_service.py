"""Units of systemd: their starts, restarts, stops, and their owners."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.agent.resources import File, Problem, Service, Timer
from provision.agent.resources.systemd import leftovers
from provision.agent.resources.systemd import service as systemd
from provision.agent.resources.systemd.service import parse_show
from tests.support.fakes.host import Host, theirs
from tests.support.fakes.machine import FakeMachine, converge
from tests.support.fakes.systemd import Unit


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", {}),
        ("Id=a.service\nActiveState=active\n", {"a.service": {"Id": "a.service", "ActiveState": "active"}}),
        (
            "Id=a.service\nLoadState=loaded\n\nLoadState=not-found\nId=b.service\nX=1=2\n",
            {
                "a.service": {"Id": "a.service", "LoadState": "loaded"},
                "b.service": {"Id": "b.service", "LoadState": "not-found", "X": "1=2"},
            },
        ),
    ],
)
def test_parse_show(text: str, units: dict[str, dict[str, str]]) -> None:
    assert parse_show(text) == units


@pytest.fixture
def watched(host: Host) -> tuple[FakeMachine, File, Service]:
    file = File(host.path("/etc/x"), "1\n")
    service = Service("ours", "[Service]\n", watches=(file.id,))
    machine = FakeMachine(host, (file, service))
    converge(machine, file, service)
    return machine, file, service


def restarts(host: Host) -> int:
    return len(host.ran("systemctl", "restart"))


def test_a_service_restarts_when_what_it_watches_changes(
    host: Host, watched: tuple[FakeMachine, File, Service]
) -> None:
    _, file, service = watched
    changed = File(file.path, "2\n")
    machine = FakeMachine(host, (changed, service), known=watched[0].known)
    assert restarts(host) == 1
    assert converge(machine, changed, service) == [
        f"change {file.path}",
        f"restart ours (changed: {file.path})",
    ]
    assert restarts(host) == 2
    assert converge(machine, changed, service) == []


def test_a_restart_that_a_killed_run_owed_is_made_up_for(
    host: Host, watched: tuple[FakeMachine, File, Service]
) -> None:
    _, file, service = watched
    changed = File(file.path, "2\n")
    converge(FakeMachine(host, (changed, service)), changed)  # and then it was killed
    later = FakeMachine(host, (changed, service), known=watched[0].known)
    assert len(converge(later, changed, service)) == 1
    assert restarts(host) == 2


@pytest.mark.parametrize(
    ("state", "summary"),
    [
        ({"active": "failed"}, "start ours (is failed)"),
        ({"enabled": False}, "enable ours"),
        ({"active": "inactive", "enabled": False}, "enable ours; start ours (is inactive)"),
    ],
)
def test_drift_of_a_service(
    host: Host, watched: tuple[FakeMachine, File, Service], state: dict[str, Any], summary: str
) -> None:
    machine, file, service = watched
    vars(host.units["ours"]).update(state)
    machine.looks.clear()
    assert converge(machine, file, service) == [summary]


def test_a_changed_unit_restarts_its_service(watched: tuple[FakeMachine, File, Service]) -> None:
    machine, file, service = watched
    changed = Service("ours", "[Service]\nNice=1\n", watches=service.watches)
    machine.resources = (file, changed)
    (summary,) = converge(machine, changed)
    assert "restart ours (changed: ours.service)" in summary
    assert "Nice=1" in Path(f"{systemd.UNITS}/ours.service").read_text()


def test_what_an_active_unit_has_made_and_somebody_took_away_is_made_anew(host: Host) -> None:
    service = Service("ours", "[Service]\n", still_there=("/opt/fence.py", "check"))
    machine = FakeMachine(host, (service,))
    converge(machine, service)
    assert converge(machine, service) == []
    look = ("/usr/bin/python3", "/opt/fence.py")
    host.script(*look, answer=host.fails("gone"))

    def start() -> str:
        host.script(*look, answer="")
        return ""

    host.script("systemctl", "restart", answer=start)
    assert converge(machine, service) == ["restart ours (its result is gone)"]


def test_what_a_unit_has_made_goes_with_it_though_it_does_not_run(host: Host) -> None:
    """Only stopping the unit removes it, and systemd stops no unit that is not active."""
    service = Service("ours", "[Service]\n", still_there=("/opt/fence.py", "check"))
    machine = FakeMachine(host, (service,))
    converge(machine, service)
    host.units["ours"].active = "inactive"
    host.commands.clear()
    host.script("systemctl", "start", answer=host.fails("no"))
    service.remove(machine)
    assert [argv[1] for argv in host.ran("systemctl") if argv[1] in ("start", "stop")] == ["start", "stop"]


@pytest.mark.parametrize("dynamic_user", [False, True])
def test_a_runtime_directory_goes_with_its_unit(host: Host, dynamic_user: bool) -> None:
    service = Service("ours", "[Service]\nRuntimeDirectory=ours\nRuntimeDirectoryPreserve=restart\n")
    machine = FakeMachine(host, (service,))
    converge(machine, service)
    run = Path(leftovers.RUN)
    kept = run / "private" / "ours" if dynamic_user else run / "ours"
    kept.mkdir(parents=True)
    (kept / "ledger.json").write_text("{}")
    if dynamic_user:
        (run / "ours").symlink_to("private/ours")
    (run / "theirs").mkdir()
    service.remove(machine)
    assert sorted(path.name for path in run.rglob("*")) == [*(["private"] if dynamic_user else []), "theirs"]


def drop_in(name: str) -> Path:
    return Path(f"{systemd.UNITS}/{name}.service.d/hubwright.conf")


def test_a_drop_in_comes_changes_and_goes_with_a_restart_each(host: Host) -> None:
    host.units["docker"] = Unit("active", enabled=True)
    machine = FakeMachine(host)
    summaries = []
    for text in ("", "[Service]\nNice=1\n", "[Service]\nNice=2\n", ""):
        service = Service("docker", drop_in=text)
        machine.resources = (service,)
        before = restarts(host)
        summaries += converge(machine, service)
        assert (drop_in("docker").read_text() if drop_in("docker").exists() else "") == text
        assert restarts(host) == before + 1
        assert converge(machine, service) == []
    assert [summary.split(" (")[0].replace(str(host.folder), "") for summary in summaries] == [
        "restart docker",
        "create /etc/systemd/system/docker.service.d/hubwright.conf",
        "change /etc/systemd/system/docker.service.d/hubwright.conf; restart docker",
        "remove /etc/systemd/system/docker.service.d/hubwright.conf; restart docker",
    ]
    assert not drop_in("docker").parent.exists()


def test_a_drop_in_that_a_killed_run_took_away_is_restarted_for(host: Host) -> None:
    host.units["docker"] = Unit("active", enabled=True)
    service, machine = Service("docker", drop_in="[Service]\nNice=1\n"), FakeMachine(host)
    converge(machine, service)
    plain = Service("docker")
    host.script("systemctl", "daemon-reload", answer=OSError("killed"))
    with pytest.raises(OSError, match="killed"):
        plain.apply(machine)
    assert not drop_in("docker").exists()
    host.scripted.clear()
    machine.looks.clear()
    assert converge(machine, plain) == ["restart docker (changed: docker.service)"]


def test_a_drop_in_leaves_those_of_others(host: Host) -> None:
    host.units["docker"] = Unit("active", enabled=True)
    other = Path(theirs(host, "/etc/systemd/system/docker.service.d/theirs.conf", "[Service]\n"))
    service, machine = Service("docker", drop_in="[Service]\nNice=1\n"), FakeMachine(host)
    converge(machine, service)
    service.remove(machine)
    assert [path.name for path in other.parent.iterdir()] == ["theirs.conf"]


def test_a_service_that_watches_nothing_real_is_a_fault(host: Host) -> None:
    service = Service("ours", "[Service]\n", watches=("file:/nowhere",))
    with pytest.raises(Problem, match="watches file:/nowhere, which no role provides"):
        converge(FakeMachine(host, (service,)), service)


@pytest.mark.parametrize("was", [Unit("active", enabled=True), Unit("inactive", enabled=False)])
def test_a_unit_of_others_is_left_as_it_was(host: Host, was: Unit) -> None:
    host.units["docker"] = Unit(was.active, was.enabled)
    service, machine = Service("docker"), FakeMachine(host)
    converge(machine, service)
    assert host.units["docker"].active == "active"
    service.remove(machine)
    assert (host.units["docker"].active, host.units["docker"].enabled) == (was.active, was.enabled)


@pytest.mark.parametrize("was", [Unit("active", enabled=True), Unit("inactive", enabled=False)])
@pytest.mark.parametrize(
    "resource", [Service("x", "[Service]\nExecStart=/ours\n"), Timer("x", "[Timer]\n", "[Service]\n")]
)
def test_a_unit_file_of_others_comes_back(host: Host, resource: Service | Timer, was: Unit) -> None:
    name = resource.unit_name.removesuffix(".service")
    file = theirs(host, f"/etc/systemd/system/{resource.unit_name}", "[Unit]\nDescription=theirs\n")
    host.units[name] = Unit(was.active, was.enabled)
    host.run(["systemctl", "daemon-reload"])
    machine = FakeMachine(host)
    converge(machine, resource)
    assert "theirs" not in file.read_text()
    resource.remove(machine)
    resource.remove(machine)  # a removal that was cut short is done again
    assert file.read_text() == "[Unit]\nDescription=theirs\n"
    assert (host.units[name].active, host.units[name].enabled) == (was.active, was.enabled)
    assert (host.units[name].starts > 1) is (was.active == "active"), "with its own file"


def test_a_service_of_an_earlier_manifest_is_stopped_though_nobody_asked_for_it(
    host: Host, watched: tuple[FakeMachine, File, Service]
) -> None:
    machine, file, service = watched
    machine.resources = (file, Service("other"))
    machine.looks.clear()
    Service("other").check(machine)  # a shared look, which did not ask for ours
    service.remove(machine)
    assert (host.units["ours"].active, host.units["ours"].enabled) == ("inactive", False)


def test_a_service_that_does_not_start_says_its_last_words(host: Host) -> None:
    host.script("systemctl", "restart", answer=host.fails("Job failed"))
    with pytest.raises(Problem) as caught:
        Service("ours", "[Service]\n").apply(FakeMachine(host))
    assert caught.value.what == "ours: does not start; the end of its log:\nlast words of the unit"
    assert "journalctl -u ours" in caught.value.hint


@pytest.mark.parametrize(
    ("own", "said"),
    [("ValueError: no\n", "ValueError: no"), ("", "Failed to locate executable")],
    ids=["of the program", "of systemd, when the program never ran"],
)
def test_the_last_words_are_the_programs_own(
    host: Host, monkeypatch: pytest.MonkeyPatch, own: str, said: str
) -> None:
    def journal(*words: str) -> str:
        assert words[words.index("-n") + 1] == "20"
        if "_SYSTEMD_UNIT=ours.service" not in words:
            return "Failed to locate executable\n"
        assert "--since=-480s" in words
        return own

    host.script("systemctl", "restart", answer=host.fails("Job failed"))
    monkeypatch.setattr(host, "_journalctl", journal)
    with pytest.raises(Problem) as caught:
        Service("ours", "[Service]\n").apply(FakeMachine(host))
    assert caught.value.what == f"ours: does not start; the end of its log:\n{said}"


def test_a_service_that_never_answers_is_not_ready(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.answering = False
    clock = iter(range(1000))
    fast = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr(systemd, "time", fast)
    service = Service("ours", "[Service]\n", ready="http://127.0.0.1:1/", ready_timeout=5)
    machine = FakeMachine(host)
    with pytest.raises(Problem, match=r"not ready after 5 s \(http://127.0.0.1:1/: connection refused\)"):
        service.apply(machine)
    machine.looks.clear()
    assert service.check(machine) is not None  # so that the next run tries again


def test_a_service_that_runs_and_answers_no_more_is_restarted(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped or hung process: systemd says that it is active."""
    service = Service("ours", "[Service]\n", ready="http://127.0.0.1:1/")
    machine = FakeMachine(host)
    service.apply(machine)
    assert service.revive(machine) is None
    starts = host.units["ours"].starts
    clock = iter(range(0, 100000, 10))
    monkeypatch.setattr(systemd, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))
    host.answering = False
    host.script(
        "systemctl",
        "restart",
        answer=lambda: (
            vars(host).update(answering=True) or vars(host.units["ours"]).update(starts=starts + 1) or ""
        ),
    )
    change = service.revive(machine)
    assert change is not None
    assert "restart ours (it runs, and did not answer" in change.summary
    assert host.units["ours"].starts == starts + 1
    assert "restarting ours: it does not answer" in machine.said


def test_a_wait_ends_when_the_driver_has_gone(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service("ours", "[Service]\n", ready="http://127.0.0.1:1/")
    machine = FakeMachine(host)
    service.apply(machine)
    host.answering = False
    monkeypatch.setattr(FakeMachine, "abandoned", lambda _: True)
    with pytest.raises(Problem, match="the driver has gone while it was not ready yet"):
        service.revive(machine)


def test_a_service_that_fails_while_it_is_waited_for_ends_the_wait(host: Host) -> None:
    host.answering = False
    host.script("systemctl", "restart", answer=lambda: vars(host.units["ours"]).update(active="failed") or "")
    with pytest.raises(Problem, match="does not stay up"):
        Service("ours", "[Service]\n", ready="http://127.0.0.1:1/").apply(FakeMachine(host))
