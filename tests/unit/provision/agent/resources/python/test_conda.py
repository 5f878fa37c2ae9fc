"""conda and the prefixes of its packages, on a made-up host with installers that are not Miniconda's."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import CondaPrefix, CondaPython, Problem, PythonEnv
from provision.agent.resources.python import conda
from provision.agent.resources.python.environment import uses_interpreter_in
from tests.support.fakes.host import LOCK, Host
from tests.support.fakes.machine import FakeMachine, converge

URL = "https://x.example/Miniconda3-{}.sh"
OLD, NEW = "0a" * 32, "0b" * 32


def prefix(host: Host, digest: str = OLD, machine: str = "any") -> CondaPrefix:
    return CondaPrefix(host.path("/opt/conda"), ((machine, URL.format(digest[:2]), digest),))


def interpreter(host: Host, **changes: Any) -> CondaPython:
    fields: dict[str, Any] = {"channels": ("conda-forge",), "python": "3.13", "node": 24, "edition": "1"}
    return CondaPython(host.path("/opt/ours"), conda=host.path("/opt/conda"), **{**fields, **changes})


def place(host: Host, *parts: str) -> Path:
    return Path(host.path("/opt/conda"), *parts)


# --- the prefix -------------------------------------------------------------------------------------


def test_the_checked_installer_is_run_in_a_home_of_its_own(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, homes, real = FakeMachine(host), [], host.run

    def run(argv: Any, *, env: dict[str, str], **_: Any) -> str:
        homes.append(env["HOME"])
        assert machine.claims(prefix(host)) == {"installing": True}  # all that happens from here on is ours
        return real(argv)

    monkeypatch.setattr(host, "run", run)
    converge(machine, prefix(host))
    assert [argv[0] for argv in host.commands] == ["download", "bash", str(place(host, "bin/conda"))]
    assert host.commands[0] == ["download", URL.format("0a"), OLD]
    _, installer, *words = host.commands[1]
    assert installer.endswith(".sh")
    assert words == ["-b", "-p", str(place(host))]
    assert set(homes) == {machine.state("conda", "home")}
    assert not Path(machine.state("conda")).exists()


def test_another_installer_replaces_it_whole(host: Host) -> None:
    machine = FakeMachine(host)
    converge(machine, prefix(host))
    place(host, "lib").mkdir()
    assert converge(machine, prefix(host, NEW)) == [f"replace {place(host)} by Miniconda3-0b.sh"]
    assert not place(host, "lib").exists()
    assert converge(machine, prefix(host, NEW)) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("/nowhere")])
def test_what_somebody_else_put_there_is_refused_and_stays(host: Host, make: Callable[[Path], None]) -> None:
    make(place(host))
    machine = FakeMachine(host)
    with pytest.raises(Problem, match="is there, and hubwright has not made it") as caught:
        prefix(host).check(machine)
    assert 'provider = "system"' in caught.value.hint
    assert prefix(host).remove(machine) is None
    assert place(host).is_symlink() or place(host).exists()


def test_what_a_killed_run_left_is_made_anew(host: Host) -> None:
    machine, wanted = FakeMachine(host), prefix(host)
    machine.claim(wanted, installing=True)
    place(host, "pkgs").mkdir(parents=True)
    (change,) = converge(machine, wanted)
    assert change.endswith("again: an earlier run was cut short")
    assert not place(host, "pkgs").exists()
    assert machine.claims(wanted) == {"installing": False}


def test_a_conda_that_is_gone_is_brought_back(host: Host) -> None:
    machine = FakeMachine(host)
    converge(machine, prefix(host))
    place(host, "bin/conda").unlink()
    (change,) = converge(machine, prefix(host))
    assert change.endswith("again: its conda is gone")


@pytest.mark.parametrize("step", ["bash", "conda"])
def test_an_installer_that_fails_leaves_nothing_of_its_own(host: Host, step: str) -> None:
    machine, wanted = FakeMachine(host), prefix(host)
    program = "bash" if step == "bash" else str(place(host, "bin/conda"))

    def fail() -> str:
        place(host, "half").mkdir(parents=True, exist_ok=True)
        raise host.fails("No space left on device")

    host.script(program, answer=fail)
    with pytest.raises(Problem, match="No space left on device"):
        wanted.apply(machine)
    assert not place(host).exists()
    place(host).mkdir()  # the operator's own attempt
    with pytest.raises(Problem, match="has not made it"):
        wanted.check(machine)


def test_a_download_that_fails_leaves_the_older_conda(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(host)
    converge(machine, prefix(host))

    def refuse(*_: object) -> None:
        raise Problem("not what was expected")

    monkeypatch.setattr(conda, "download", refuse)
    with pytest.raises(Problem, match="not what was expected"):
        prefix(host, NEW).apply(machine)
    assert prefix(host).check(machine) is None


def test_somebody_else_s_environments_are_never_thrown_away(host: Host) -> None:
    machine = FakeMachine(host)
    converge(machine, prefix(host))
    place(host, "envs/theirs").mkdir()
    assert prefix(host).check(machine) is None
    with pytest.raises(Problem, match="holds environments not made by hubwright: theirs"):
        prefix(host, NEW).check(machine)
    assert prefix(host).remove(machine) == "it holds environments not made by hubwright: theirs"
    assert place(host, "envs/theirs").exists()


def test_a_full_disk_is_refused_before_anything_is_fetched(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conda, "free_space", lambda _: ("/opt", 1 << 30))
    with pytest.raises(Problem, match=r"only 1\.0 GiB free at /opt, and conda needs 1\.5 GiB"):
        prefix(host).apply(FakeMachine(host))
    assert host.commands == []


def test_a_machine_that_no_installer_is_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(Problem, match="no installer of conda is known for riscv64") as caught:
        prefix(host, machine="x86_64").check(FakeMachine(host))
    assert "[python] installer and sha256" in caught.value.hint


# --- the interpreter --------------------------------------------------------------------------------


def test_an_interpreter_takes_packages_from_its_channels_and_no_other(host: Host) -> None:
    converge(FakeMachine(host), prefix(host), interpreter(host, channels=("https://m/forge", "extra")))
    (command,) = host.ran(str(place(host, "bin/conda")), "create")
    path = interpreter(host, channels=("https://m/forge", "extra")).path
    assert " ".join(command[1:]) == (
        "create --yes --quiet --override-channels --channel https://m/forge --channel extra "
        f"--prefix {path} python=3.13 nodejs=24"
    )


@pytest.mark.parametrize("gone", [".hubwright", "bin/python", "bin/node"])
def test_an_interpreter_that_is_not_whole_is_made_anew(host: Host, gone: str) -> None:
    machine, wanted = FakeMachine(host), interpreter(host)
    converge(machine, prefix(host), wanted)
    Path(wanted.path, gone).unlink()
    Path(wanted.path, "left-over").touch()
    assert len(converge(machine, wanted)) == 1
    assert not Path(wanted.path, "left-over").exists()


def test_packages_that_no_channel_has(host: Host) -> None:
    machine, wanted = FakeMachine(host), interpreter(host)
    host.script(
        str(place(host, "bin/conda")), "create", answer=host.fails("PackagesNotFoundError: nodejs=24")
    )
    with pytest.raises(
        Problem, match=r"conda cannot make Python 3\.13 and Node 24 from conda-forge\nPack"
    ) as caught:
        converge(machine, wanted)
    assert caught.value.hint.startswith("check channels, version and node in [python]")
    assert not Path(wanted.path).exists()


@pytest.mark.parametrize("change", [{"channels": ("x",)}, {"python": "3.12"}, {"node": 22}, {"edition": "2"}])
def test_whatever_shapes_an_interpreter_makes_another(host: Host, change: dict[str, Any]) -> None:
    assert interpreter(host, **change).path != interpreter(host).path
    root = interpreter(host).root
    environments = [
        PythonEnv(root, LOCK, "uv==1", interpreter=i.path)
        for i in (interpreter(host), interpreter(host, **change))
    ]
    assert len({environment.digest for environment in environments}) == 2


def test_interpreters_stay_as_long_as_an_environment_stands_on_them(host: Host) -> None:
    machine, made = FakeMachine(host), []
    converge(machine, prefix(host))
    for number in range(4):
        wanted = interpreter(host, edition=str(number))
        environment = PythonEnv(wanted.root, LOCK, "uv==1", {"package.json": "{}"}, interpreter=wanted.path)
        converge(machine, wanted, environment)
        os.utime(f"{environment._path}/.complete", (number, number))
        made.append(wanted.path)
    kept = sorted(str(path) for path in Path(host.path("/opt/ours/interpreters")).iterdir())
    assert kept == sorted(made[-2:])
    current = Path(host.path("/opt/ours/current"))
    assert uses_interpreter_in(str(current), made[-1])
    assert (current / "node" / "node").readlink() == Path(made[-1], "bin", "node")


@pytest.mark.parametrize(
    ("home", "stands"),
    [("/opt/i/1/bin", True), ("/opt/i/1", True), ("/opt/i/12/bin", False), ("/usr/bin", False)],
)
def test_where_an_environment_stands(tmp_path: Path, home: str, stands: bool) -> None:
    (tmp_path / "pyvenv.cfg").write_text(f"home = {home}\nversion = 3.13.5\n")
    assert uses_interpreter_in(str(tmp_path), "/opt/i/1") is stands
    assert not uses_interpreter_in(str(tmp_path / "nothing"), "/opt/i/1")
