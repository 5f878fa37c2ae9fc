"""[extend]: the operator's own configuration, packages and roles, before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import roles
from provision.agent.resources import CommandFailed, File, Problem, PythonEnv
from provision.deploy import apply
from provision.errors import SettingsError
from provision.settings import Settings
from tests.support.fakes.host import Host, inputs
from tests.support.fakes.machine import FakeMachine

Hub = Callable[..., Settings]
HASH = "--hash=sha256:" + "0a" * 32
ROLE = """
from provision.agent.resources import Directory
from roles.role import Role

ROLE = Role("motd", "a message", lambda inputs: [Directory("/srv/motd")], needs=("hub",))
"""


def beside(hub: Hub, name: str, text: str) -> Path:
    """A file beside hub.toml."""
    path = hub().root / name
    path.write_text(text, encoding="utf-8")
    return path


# --- configuration --------------------------------------------------------------------------------


def test_own_configuration_goes_to_the_host_and_is_loaded_last(hub: Hub) -> None:
    (hub().root / "config.d").mkdir()
    beside(hub, "config.d/a.py", "c.JupyterHub.x = 1\n")
    beside(hub, "b.py", "c.JupyterHub.x = 2\n")
    steps = roles.hub.steps(inputs(hub("[extend]\nhub_config = ['b.py', 'config.d/a.py']")))
    files = {step.path: step for step in steps if isinstance(step, File)}
    told = json.loads(files["/etc/jupyterhub/hub.json"].content)["own_config"]
    assert told == ["/etc/jupyterhub/config.d/b.py", "/etc/jupyterhub/config.d/a.py"]
    assert [files[path].content[-2:] for path in told] == ["2\n", "1\n"]
    assert [files[path].source for path in told] == ["b.py", "config.d/a.py"]
    ids = [step.id for step in steps]
    assert max(ids.index(f"file:{path}") for path in told) < ids.index("file:/etc/jupyterhub/hub.json")
    assert all(f"file:{path}" in steps[-2].watches for path in told)  # type: ignore[attr-defined]


def test_own_configuration_with_a_mistake_is_refused_with_its_line(hub: Hub) -> None:
    path = beside(hub, "a.py", "c.JupyterHub.x = 1\nif:\n")
    with pytest.raises(SettingsError, match=r"no valid Python: invalid syntax, at line 2") as caught:
        inputs(hub("[extend]\nhub_config = ['a.py']"))
    assert caught.value.where == f"extend.hub_config: {path}"


@pytest.mark.parametrize("key", ["hub_config = ['no.py']", "packages = 'no.txt'", "roles = ['no.py']"])
def test_a_file_that_is_not_there_is_refused(hub: Hub, key: str) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read|no such file"):
        apply.check(hub(f"[extend]\n{key}"))


def test_two_files_of_one_name_are_refused(hub: Hub) -> None:
    with pytest.raises(SettingsError, match=r"two files are called x\.py"):
        hub("[extend]\nhub_config = ['a/x.py', 'b/x.py']")


def test_a_text_that_its_check_refuses_leaves_the_old_one(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.path("/etc/own.py")
    Path(path).write_text("old\n")
    tried: list[str] = []

    def refuse(_: FakeMachine, argv: list[str], **__: object) -> str:
        tried.append(Path(argv[-1]).read_text())
        raise CommandFailed(argv, 1, f"{argv[-1]}: Spawner has no option x")

    monkeypatch.setattr(FakeMachine, "run", refuse)
    file = File(path, "new\n", check_with=("python", "check.py"), source="config.d/own.py")
    with pytest.raises(Problem) as caught:
        file.apply(FakeMachine(host))
    assert caught.value.what == "config.d/own.py is refused: config.d/own.py: Spawner has no option x"
    assert caught.value.hint == "correct config.d/own.py"
    assert (tried, Path(path).read_text()) == (["new\n"], "old\n")
    assert [entry.name for entry in Path(path).parent.glob("*own*")] == ["own.py"]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("checked\n", ""),
        ("of the file\nchecked\n", ""),
        ("", "it ends the program that loads it, before its check is complete"),
        ("checked\nof the file\n", "it ends the program that loads it, before its check is complete"),
        (CommandFailed(["timeout"], 124, "killed"), "its check did not end within 300 s"),
        (CommandFailed(["timeout"], 139, ""), "its check ended with exit code 139"),
    ],
)
def test_a_text_is_taken_only_when_its_check_is_complete(
    host: Host, monkeypatch: pytest.MonkeyPatch, output: str | CommandFailed, words: str
) -> None:
    def answer(_: FakeMachine, argv: list[str], **__: object) -> str:
        assert argv[:3] == ["timeout", "--kill-after=5", "300"]
        if isinstance(output, CommandFailed):
            raise output
        return output

    path = host.path("/etc/own.py")
    Path(path).write_text("old\n")
    monkeypatch.setattr(FakeMachine, "run", answer)
    file = File(path, "new\n", check_with=("python", "check.py"))
    if words:
        with pytest.raises(Problem) as caught:
            file.apply(FakeMachine(host))
        assert caught.value.what == f"{path} is refused: {words}"
    else:
        file.apply(FakeMachine(host))
    assert Path(path).read_text() == ("old\n" if words else "new\n")


# --- packages -------------------------------------------------------------------------------------


def test_own_packages_are_in_the_hubs_environment(hub: Hub) -> None:
    beside(hub, "own.txt", f"# mine\njupyterhub-x==1.0 \\\n    {HASH}\nTraitlets==5.15.2 {HASH}\n")
    lock = inputs(hub()).files["roles/locks/hub.txt"]
    version = lock.partition("\ntraitlets==")[2].split()[0]
    beside(hub, "own.txt", f"# mine\njupyterhub-x==1.0 \\\n    {HASH}\nTraitlets=={version} {HASH}\n")
    steps = roles.python.steps(inputs(hub("[extend]\npackages = 'own.txt'")))
    (environment,) = (step for step in steps if isinstance(step, PythonEnv))
    assert f"jupyterhub-x==1.0 {HASH}" in " ".join(environment.lock.split())
    assert environment.lock.lower().count("\ntraitlets==") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jupyterhub-x\n", "'jupyterhub-x' has no version or no hash"),
        ("jupyterhub-x==1.0\n", "has no version or no hash"),
        (f"jupyterhub-x>=1.0 {HASH}\n", "has no version or no hash"),
        ("-r other.txt\n", "'-r' has no version or no hash"),
        (f"traitlets==4.0 {HASH}\n", "traitlets==4.0 does not go with the hub, which has traitlets=="),
    ],
)
def test_packages_that_cannot_be_checked_are_refused(hub: Hub, text: str, words: str) -> None:
    beside(hub, "own.txt", text)
    with pytest.raises(SettingsError, match=words):
        inputs(hub("[extend]\npackages = 'own.txt'"))


# --- roles ----------------------------------------------------------------------------------------


def test_an_own_role_is_one_like_the_others(hub: Hub) -> None:
    beside(hub, "motd.py", ROLE)
    settings = hub("[extend]\nroles = ['motd.py']")
    assert roles.table(settings).names == (*roles.SHIPPED.names, "motd")
    (chosen,) = (step for step in apply.steps(settings, inputs(settings).images) if step.name == "motd")
    assert (chosen.needs, [each.id for each in chosen.resources]) == (("hub",), ["directory:/srv/motd"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "defines no ROLE"),
        ("x = 1\nif:\n", "cannot be loaded, at line 2: SyntaxError"),
        ("x = 1\n\nimport no_such_module\n", "cannot be loaded, at line 3: ModuleNotFoundError"),
        (ROLE.replace('"motd"', '"hub"'), "there is a role hub already"),
        (ROLE.replace('"motd"', '"My Role"'), "should be small letters"),
        (ROLE.replace('("hub",)', '("swarm",)'), "needs swarm, which no role before it is called"),
    ],
)
def test_a_file_that_holds_no_fitting_role_is_refused(hub: Hub, text: str, words: str) -> None:
    path = beside(hub, "motd.py", text)
    with pytest.raises(SettingsError, match=words) as caught:
        apply.check(hub("[extend]\nroles = ['motd.py']"))
    assert caught.value.where == f"extend.roles: {path}"
