"""An engine that was there before: what it runs with is asked for, kept and given back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import EngineService, EngineSettings, File, Problem, UsableEngine
from provision.agent.resources.docker.control import parse_words
from provision.agent.resources.docker.daemon import Daemon, parse_arguments, parse_flags, parse_units
from provision.agent.resources.docker.usable import refuse_version
from tests.support.fakes.host import Host, theirs
from tests.support.fakes.machine import FakeMachine, converge, machine_for
from tests.support.fakes.systemd import Unit

COMMAND = "path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS ${ONE}"
SHOWN = f"""\
Id=docker.service
LoadState=loaded
ActiveState=active
MainPID=0
ExecStart={{ {COMMAND} ; ignore_errors=no ; pid=0 }}
Environment=ONE=--debug
EnvironmentFiles=%s (ignore_errors=yes)

Id=snap.docker.dockerd.service
LoadState=%s
"""


def settings(host: Host, **more: Any) -> EngineSettings:
    path = host.path("/etc/docker/daemon.json")
    return EngineSettings(path, {"live-restore": True, **more}, optional=("live-restore",))


def engine(host: Host, options: str = "", snap: str = "not-found") -> Path:
    """Give the host an engine of others, which its unit starts with these options."""
    host.installed.add("docker.io")
    host.units["docker"], host.groups["docker"] = Unit("active", enabled=True), []
    defaults = theirs(host, "/etc/default/docker", f"# DOCKER_OPTS=--x\nDOCKER_OPTS='{options}'\n")
    host.script("systemctl", "show", "--property", answer=lambda: _shown(host, SHOWN % (defaults, snap)))
    return defaults


def _shown(host: Host, text: str) -> str:
    if host.commands[-1][-1] == "snap.docker.dockerd.service":
        return text.replace("ActiveState=active", f"ActiveState={host.units['docker'].active}")
    return host._systemctl("show", *host.commands[-1][2:])


def noted(path: Path, seen: list[Any]) -> str:
    seen.append(json.loads(path.read_text()))
    return ""


def join_a_swarm(host: Host) -> None:
    theirs(host, "/var/lib/docker/swarm/docker-state.json", "{}")


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ("", {}),
        ("-H fd:// --containerd=/x", {"host": ("fd://",), "containerd": ("/x",)}),
        ("-Hfd:// -D", {"host": ("fd://",), "debug": ("true",)}),
        ("--live-restore --iptables=false", {"live-restore": ("true",), "iptables": ("false",)}),
        ("--registry-mirror a --registry-mirror=b", {"registry-mirror": ("a", "b")}),
        ("--graph /a -g /b", {"data-root": ("/a", "/b")}),
    ],
)
def test_parse_flags(words: str, flags: dict[str, tuple[str, ...]]) -> None:
    assert parse_flags(words.split()) == flags


def test_a_unit_s_variables_are_put_in_their_places() -> None:
    unit = parse_units(SHOWN % ("/etc/default/docker", "x"))["docker.service"]
    text = "DOCKER_OPTS=\"--log-driver=journald --label 'a b'\"\nbroken'\n"
    assert parse_arguments(unit, lambda _: text) == [
        *("-H", "fd://", "--log-driver=journald", "--label", "a b", "--debug")
    ]


def test_live_restore_is_left_out_in_a_swarm(host: Host) -> None:
    engine(host)
    join_a_swarm(host)
    mirrors = {"registry-mirrors": ["https://m"]}
    ours = settings(host, **mirrors)
    change = ours.check(FakeMachine(host, (ours,)))
    assert change is not None
    assert "live-restore is left out: the engine is part of a swarm" in change.summary
    converge(FakeMachine(host, (ours,)), ours)
    assert json.loads(Path(ours.path).read_text()) == mirrors


def test_an_engine_of_others_is_not_restarted_for_nothing(host: Host) -> None:
    engine(host)
    join_a_swarm(host)
    ours = settings(host)
    service = EngineService("docker", watches=(ours.id,))
    assert converge(FakeMachine(host, (ours, service)), ours, service) == []
    assert not Path(ours.path).exists()


def test_an_engine_that_has_our_settings_already_is_not_restarted(host: Host) -> None:
    engine(host)
    theirs(host, "/etc/docker/daemon.json", '{"live-restore": true}')
    ours = settings(host)
    service = EngineService("docker", watches=(ours.id,))
    assert converge(FakeMachine(host, (ours, service)), ours, service) == []


def test_a_restart_that_stops_containers_says_so_and_starts_them_again(host: Host) -> None:
    engine(host)
    join_a_swarm(host)
    ours = settings(host, **{"registry-mirrors": ["https://m"]})
    service = EngineService("docker", watches=(ours.id,))
    running = ["aaa \nbbb \nccc a-task\n", "aaa \nbbb \nccc a-task\n", "bbb \n"]
    host.script("docker", "ps", answer=lambda: running.pop(0))
    host.script("docker", "start", answer="")
    _, restart = converge(FakeMachine(host, (ours, service)), ours, service)
    assert "2 containers stop for it and are started again: the engine is part of a swarm" in restart
    assert host.ran("docker", "start") == [["docker", "start", "aaa"]]


@pytest.mark.parametrize("options", ["--live-restore=false", "--config-file=/etc/other.json"])
def test_an_optional_key_of_the_command_line_is_left_alone(host: Host, options: str) -> None:
    engine(host, options)
    assert settings(host).check(FakeMachine(host)) is None


def test_a_key_that_is_needed_and_on_the_command_line_is_a_problem(host: Host) -> None:
    engine(host, "--registry-mirror=https://other")
    ours = settings(host, **{"registry-mirrors": ["https://m"]})
    with pytest.raises(Problem, match="--registry-mirror=https://other on its command line"):
        ours.check(FakeMachine(host))


def test_a_key_that_the_command_line_has_in_the_same_way_is_no_problem(host: Host) -> None:
    engine(host, "--registry-mirror=https://m")
    ours = settings(host, **{"registry-mirrors": ["https://m"]})
    [change] = converge(FakeMachine(host), ours)
    assert change.startswith(f"set live-restore in {ours.path}; registry-mirrors is left out: dockerd has")


def test_dockerd_reads_the_file_before_it_is_written(host: Host) -> None:
    engine(host, "--log-driver=journald")
    path = theirs(host, "/etc/docker/daemon.json", '{"log-drivr": "x"}')
    asked: list[list[str]] = []

    def refuse() -> str:
        asked.append(host.commands[-1])
        raise host.fails("unable to configure the Docker daemon with file /dev/stdin: log-drivr")

    host.script("dockerd", "--help", answer="  --validate  Validate daemon configuration and exit\n")
    host.script("timeout", answer=refuse)
    with pytest.raises(Problem, match=f"with file {path}: log-drivr"):
        settings(host).check(FakeMachine(host))
    assert asked[0][2:] == [
        *("dockerd", "-H", "fd://", "--log-driver=journald", "--debug"),
        *("--validate", "--config-file=/dev/stdin"),
    ]


@pytest.mark.parametrize("before", [None, '{"debug":true}', '{"live-restore": false, "debug": true}'])
def test_an_engine_that_does_not_come_up_gets_its_file_back(host: Host, before: str | None) -> None:
    engine(host)
    path = Path(host.path("/etc/docker/daemon.json"))
    if before is not None:
        theirs(host, "/etc/docker/daemon.json", before)
    ours = settings(host)
    service = EngineService("docker", watches=(ours.id,))
    machine = FakeMachine(host, (ours, service))
    converge(machine, ours)
    tries: list[bool] = []

    def start() -> str:
        tries.append((path.read_text() if path.exists() else None) == before)
        host.units["docker"].active = "active" if tries[-1] else "failed"
        if not tries[-1]:
            raise host.fails("Job for docker.service failed")
        return ""

    host.script("systemctl", "restart", answer=start)
    host.script("journalctl", answer='msg="Reloaded configuration"\nlevel=fatal msg="not this"\n')
    with pytest.raises(Problem) as failure:
        service.apply(machine)
    assert "not this" in failure.value.what
    assert f"{path} is put back, and Docker runs as before" in failure.value.what
    assert tries == [False, True]
    assert (path.read_text() if path.exists() else None) == before
    assert machine.claims(ours)["keys"] == []


def test_what_a_running_engine_refuses_does_not_stop_it(host: Host) -> None:
    """Its own administrator has misspelt a key since it was started."""
    engine(host)
    before = '{"log-drivr": "x"}'
    path = theirs(host, "/etc/docker/daemon.json", before)
    ours = settings(host)
    service = EngineService("docker", watches=(ours.id,))
    machine = FakeMachine(host, (ours, service))
    converge(machine, ours)
    said = "unable to configure the Docker daemon with file daemon.json: log-drivr"
    host.script("journalctl", answer=f'level=error msg="{said}"\n')
    with pytest.raises(Problem) as failure:
        service.apply(machine)
    assert said in failure.value.what
    assert f"{path} is put back, and Docker runs on" in failure.value.what
    assert path.read_text() == before
    assert not host.ran("systemctl", "restart")


def test_reload_comes_before_a_restart_and_only_where_it_runs(host: Host) -> None:
    file = File(host.path("/etc/x"), "1\n")
    service = EngineService("docker", watches=(file.id,))
    host.installed.add("docker.io")
    host.units["docker"] = Unit("inactive")
    machine = FakeMachine(host, (file, service))
    converge(machine, file, service)
    assert host.ran("systemctl", "reload") == []
    changed = File(file.path, "2\n")
    machine.resources = (changed, service)
    converge(machine, changed, service)
    verbs = [argv[1] for argv in host.ran("systemctl") if argv[1] in ("reload", "restart")]
    assert verbs == ["restart", "reload", "restart"]


def test_a_good_start_settles_the_file(host: Host) -> None:
    engine(host)
    theirs(host, "/etc/docker/daemon.json", '{"debug":true}')
    ours = settings(host)
    service = EngineService("docker", watches=(ours.id,))
    machine = FakeMachine(host, (ours, service))
    converge(machine, ours, service)
    assert ours.put_back(machine) is False
    assert converge(machine, ours, service) == []


def test_removal_gives_the_very_file_back_and_lets_the_engine_read_it(host: Host) -> None:
    engine(host)
    text = '{"live-restore":false,\n   "debug":true}'
    path = theirs(host, "/etc/docker/daemon.json", text)
    ours, machine = settings(host), FakeMachine(host)
    converge(machine, ours)
    read: list[Any] = []
    host.script("systemctl", "reload", answer=lambda: noted(path, read))
    ours.remove(machine)
    assert path.read_text() == text
    assert read == [{"live-restore": False, "debug": True}]
    assert host.ran("systemctl", "reload") == [["systemctl", "reload", "docker.service"]]
    assert not host.ran("systemctl", "restart")


def test_an_engine_forgets_what_its_file_never_had(host: Host) -> None:
    """A key that is missing when it reads its file again keeps the value that it had."""
    engine(host)
    ours, machine = settings(host, **{"registry-mirrors": ["https://m"]}), FakeMachine(host)
    path = Path(ours.path)
    read: list[Any] = []
    converge(machine, ours)
    host.script("systemctl", "reload", answer=lambda: noted(path, read))
    ours.remove(machine)
    assert read == [{"live-restore": False, "registry-mirrors": []}]
    assert not path.exists()


def test_removal_starts_an_engine_that_ran_before(host: Host) -> None:
    engine(host)
    ours, machine = settings(host), FakeMachine(host)
    converge(machine, ours)
    host.units["docker"].active = "failed"
    ours.remove(machine)
    assert ["systemctl", "reset-failed", "docker.service"] in host.commands
    assert host.units["docker"].active == "active"


def test_removal_leaves_an_engine_that_did_not_run(host: Host) -> None:
    engine(host)
    host.units["docker"].active = "inactive"
    ours, machine = settings(host), FakeMachine(host)
    converge(machine, ours)
    ours.remove(machine)
    assert host.units["docker"].active == "inactive"


def test_words_of_dockerd_are_those_that_matter() -> None:
    log = """\
Starting docker.service - Docker Application Container Engine...
time="2026-01-01" level=info msg="Starting up"
unable to configure the Docker daemon with file /etc/docker/daemon.json: no
docker.service: Main process exited, code=exited, status=1/FAILURE
Failed to start docker.service - Docker Application Container Engine.
unable to configure the Docker daemon with file /etc/docker/daemon.json: no
time="2026-01-02" level=fatal msg="an \\"error\\""
"""
    assert parse_words(log) == [
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: no",
        'an "error"',
    ]


# --- engines that a hub cannot run on --------------------------------------------------------------


def test_an_engine_that_fits(host: Host) -> None:
    engine(host)
    assert UsableEngine("docker").check(machine_for(host)) is None


@pytest.mark.parametrize(
    ("options", "file", "words"),
    [
        ("--iptables=false", "", "its command line says iptables: false"),
        ("", '{"iptables": false}', "daemon.json says iptables: false"),
    ],
)
def test_an_engine_without_rules(host: Host, options: str, file: str, words: str) -> None:
    engine(host, options)
    theirs(host, "/etc/docker/daemon.json", file)
    with pytest.raises(Problem, match=words):
        UsableEngine("docker").check(machine_for(host))


def test_snap_s_engine(host: Host) -> None:
    engine(host, snap="loaded")
    with pytest.raises(Problem, match="as a snap"):
        UsableEngine("docker").check(machine_for(host))


def test_podman_s_command(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/docker" if name == "docker" else None)
    host.script("docker", "--version", answer="podman version 4.3.1\n")
    with pytest.raises(Problem, match=r"Podman's here \(podman version 4.3.1\)"):
        UsableEngine("docker").check(FakeMachine(host))
    host.script("docker", "--version", answer="Docker version 27.0\n")
    assert UsableEngine("docker").check(FakeMachine(host)) is None


def test_a_command_that_is_older_than_the_engine(host: Host) -> None:
    engine(host)
    said = "Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44"
    host.script("docker", "version", answer=host.fails(said))
    with pytest.raises(Problem, match=r"client version 1.41 is too old"):
        UsableEngine("docker").check(FakeMachine(host))


@pytest.mark.parametrize("version", ["19.03.15", "1.13.1"])
def test_too_old_an_engine(version: str) -> None:
    with pytest.raises(Problem, match=f"Docker {version} is too old: a hub needs 20.10 or later"):
        refuse_version({"Server": {"Version": version}})


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "29.1.0", "", "dev"])
def test_others_are_tried(version: str) -> None:
    refuse_version({"Server": {"Version": version} if version else None})


@pytest.mark.parametrize(
    ("flags", "file", "root"),
    [
        ({}, "", "/var/lib/docker"),
        ({}, '{"data-root": "/srv/d"}', "/srv/d"),
        ({}, '{"graph": "/srv/g"}', "/srv/g"),
        ({"data-root": ("/flag",)}, "", "/flag"),
        ({}, "[1", "/var/lib/docker"),
    ],
)
def test_the_folder_that_docker_writes_to(
    host: Host, flags: dict[str, tuple[str, ...]], file: str, root: str
) -> None:
    theirs(host, "/etc/docker/daemon.json", file)
    found = Daemon(flags=flags).data_root
    assert found.removeprefix(str(host.folder)) == root
