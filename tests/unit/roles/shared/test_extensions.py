"""[extend]: the operator's own configuration, packages and roles, before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import roles
from provision.agent.resources import CommandFailed, File, Problem, PythonEnv
from provision.deploy import apply
from provision.errors import SettingsError
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target
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
        ("", "names no package"),
        ("# nothing yet\n\n", "names no package"),
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


def own(hub: Hub, text: str) -> Settings:
    """Settings with one own role."""
    beside(hub, "motd.py", text)
    return hub("[extend]\nroles = ['motd.py']")


def with_fields(fields: str) -> str:
    """A role file with further fields, from line 6 on."""
    return ROLE.replace('needs=("hub",)', f'needs=("hub",),\n{fields}')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROLE.replace('"motd"', "3"), "its name should be text, not 3"),
        (ROLE.replace('("hub",)', '"hub"'), r"needs should be a tuple, such as \(.*, not 'hub'"),
        (with_fields('units=("a",)'), r"units should be a function, not \('a',\)"),
        (with_fields("wanted=True"), "wanted should be a function, not True"),
        (with_fields("state=('/srv',)"), "state should be a tuple, such as .*, not"),
        (with_fields("fresh=(('/srv/a', 'soon'),)"), "fresh should have pairs of a path and seconds"),
        (with_fields("calls_hub='me'"), "calls_hub should be a Caller, not 'me'"),
        (with_fields("page='me'"), "page should be a Page, not 'me'"),
    ],
)
def test_fields_of_the_wrong_kind_are_refused(hub: Hub, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        apply.check(own(hub, text))
    assert caught.value.where == f"extend.roles: {hub().root / 'motd.py'}"
    assert caught.value.hint.startswith("write ")


def ask_all(settings: Settings) -> None:
    """Call every function of the own role."""
    role = list(roles.table(settings))[-1]
    role.units(settings)
    role.doors(settings)
    role.resources(inputs(settings))


STEPS = 'lambda inputs: [Directory("/srv/motd")]'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROLE.replace(STEPS, "lambda inputs: 1 / 0"), "steps ended with ZeroDivisionError: division by zero"),
        (ROLE.replace(STEPS, "lambda inputs: exit(3)"), "steps ended with SystemExit: 3"),
        (ROLE.replace(STEPS, "lambda: []"), "steps ended with TypeError: .*takes 0 positional arguments"),
        (ROLE.replace(STEPS, "lambda inputs: (1 / n for n in [0])"), "steps ended with ZeroDivisionError"),
        (ROLE.replace(STEPS, "lambda inputs: None"), "steps returned None in place of a list of Resource"),
        (ROLE.replace(STEPS, "lambda inputs: 'abc'"), "steps returned 'abc' in place of a list"),
        (
            ROLE.replace(STEPS, "lambda inputs: ['abc']"),
            "steps returned 'abc' among its values, which is no Resource",
        ),
        (with_fields("wanted=lambda settings: settings.swarm"), "wanted ended with AttributeError"),
        (with_fields("wanted=lambda settings: None"), "wanted returned None in place of bool"),
        (with_fields("units=lambda settings: 'a'"), "units returned 'a' in place of a tuple of str"),
        (with_fields("units=lambda settings: [3]"), "units returned 3 among its values, which is no str"),
        (with_fields("doors=lambda settings: (80,)"), "doors returned 80 among its values, which is no Door"),
    ],
)
def test_a_mistake_in_a_function_of_a_role_names_file_line_and_role(hub: Hub, text: str, words: str) -> None:
    settings = own(hub, text)
    line = 6 if text.count("\n") > ROLE.count("\n") else 5
    with pytest.raises(SettingsError, match=rf"role motd, at line {line}: {words}") as caught:
        ask_all(settings)
    assert caught.value.where == f"extend.roles: {settings.root / 'motd.py'}"


def test_a_mistake_deep_in_a_role_is_told_with_its_last_line_in_the_file(hub: Hub) -> None:
    steps = "def steps(inputs):\n    import json\n    return json.loads('{')\n\nROLE"
    text = ROLE.replace(STEPS, "steps").replace("ROLE", steps, 1)
    with pytest.raises(SettingsError, match="role motd, at line 7: steps ended with JSONDecodeError"):
        apply.steps(own(hub, text), inputs(hub()).images)


def test_a_resource_that_cannot_be_sent_is_refused(hub: Hub) -> None:
    text = ROLE.replace('/srv/motd")', "/srv/motd\", owner=b'x')")
    with pytest.raises(SettingsError, match="role motd: Directory in steps cannot be sent to a host: Object"):
        apply.steps(own(hub, text), inputs(hub()).images)


def test_a_role_may_refuse_settings_in_its_own_words(hub: Hub) -> None:
    raising = "def steps(inputs):\n    raise SettingsError('no such motto')\n\nROLE"
    text = "from provision.errors import SettingsError\n" + ROLE.replace(STEPS, "steps")
    with pytest.raises(SettingsError, match=r"^no such motto$"):
        apply.steps(own(hub, text.replace("ROLE", raising, 1)), inputs(hub()).images)


def test_a_file_that_ends_the_program_is_refused(hub: Hub) -> None:
    with pytest.raises(SettingsError, match="cannot be loaded, at line 2: SystemExit: 3"):
        apply.check(own(hub, "import sys\nsys.exit(3)\n"))


def test_ctrl_c_while_a_role_is_loaded_ends_the_program(hub: Hub) -> None:
    with pytest.raises(KeyboardInterrupt):
        apply.check(own(hub, "raise KeyboardInterrupt\n"))


@pytest.mark.parametrize(
    ("resources", "where", "words"),
    [
        (
            'Directory("/srv/a"), Directory("/srv/a", mode=0o700)',
            "role motd",
            "two of directory:/srv/a, with",
        ),
        (
            'Directory("/etc/jupyterhub", mode=0o777)',
            "roles base and motd",
            "two of directory:/etc/jupyterhub,",
        ),
        ('Directory("srv/a")', "role motd", "directory:srv/a has a relative path"),
    ],
)
def test_resources_that_never_become_true_are_refused(
    hub: Hub, resources: str, where: str, words: str
) -> None:
    settings = own(hub, ROLE.replace('Directory("/srv/motd")', resources))
    with pytest.raises(SettingsError, match=words) as caught:
        apply.steps(settings, inputs(settings).images)
    assert caught.value.where == where


def test_equal_resources_may_stand_twice(hub: Hub) -> None:
    settings = own(hub, ROLE.replace(STEPS, 'lambda inputs: [Directory("/srv/motd")] * 2'))
    assert len(apply.steps(settings, inputs(settings).images)[-1].resources) == 2


def test_a_mistake_in_the_steps_of_a_role_is_found_before_images_are_built(hub: Hub) -> None:
    with pytest.raises(SettingsError, match="steps returned None"):
        apply.check(own(hub, ROLE.replace(STEPS, "lambda inputs: None")))


def test_roles_in_files_of_one_name_are_two_roles(hub: Hub) -> None:
    for name in ("a", "b"):
        (hub().root / name).mkdir()
        beside(hub, f"{name}/role.py", ROLE.replace("motd", name))
    settings = hub("[extend]\nroles = ['a/role.py', 'b/role.py']")
    assert roles.table(settings).names[-2:] == ("a", "b")


def test_a_removal_needs_no_role_of_the_operators_own(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "run_on_host", lambda *_: None)
    options: Any = {"reporter": Reporter(quiet=True), "access": Access(), "handle": lambda *_: None}
    (outcome,) = apply.plan_or_apply(own(hub, "if:\n"), [Target("a")], "apply", remove=True, **options)
    assert outcome.error is None
