"""The command line: its help, its exit codes, and the form of its errors."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from provision.agent.events import Hello, Result
from provision.cli import cli, main
from provision.deploy import apply as deployment
from provision.deploy import inspect, server_logs
from provision.errors import HubwrightError
from provision.machines.docker import DockerMachine
from provision.report.outcomes import HostStatus, Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target

HIDDEN = "correct-horse-battery"
IMAGE = f'[image]\nreference = "quay.io/a/b@sha256:{"0a" * 32}"\n'


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*prefix, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


@pytest.mark.parametrize("words", [(), *commands(cli)], ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0, result.output
    usage, _, rest = result.output.partition("\n\n")
    assert usage.startswith("Usage: ")
    assert not rest.lstrip().startswith("Options:"), "it says what it does"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HUBWRIGHT_CONFIG", raising=False)
    (tmp_path / "hub.toml").write_text(IMAGE)
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:  # noqa: ARG001
    """Exit code, standard output and standard error of the whole program."""

    def program(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hubwright", *words])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return int(code), out, err

    return program


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "first", "following"),
    [
        (
            "[hub]\nprot = 1\n" + IMAGE,
            ["config", "check"],
            "error: {folder}/hub.toml: hub.prot: unknown key, did you mean 'port'?",
            " next: `hubwright config explain`",
        ),
        (
            "[hub\n" + IMAGE,
            ["plan", "-H", "host"],
            "error: {folder}/hub.toml: not valid TOML: ",
            " next: correct the file",
        ),
        (IMAGE, ["config", "explain", "swarm"], "error: no section [swarm]", " next: the sections are hub, "),
        (IMAGE, ["apply", "-H", "a b"], "error: 'a b' names no host", " next: write user@host"),
        (IMAGE, ["apply", "-H", ""], "error: -H names no host", " next: write user@host"),
        (IMAGE, ["destroy", "--yes", "-H", ","], "error: -H names no host", " next: write user@host"),
        (IMAGE, ["plan", "-H", "a:0"], "error: 'a:0': there is no port 0", " next: ports go from 1"),
        (
            IMAGE,
            ["apply", "-H", "a", "-i", "hub.toml"],
            "error: hub.toml: this is no private key",
            " next: -i wants",
        ),
        (
            IMAGE,
            ["apply", "-H", "host", "--only", "jupyter"],
            "error: no such role: jupyter",
            " next: the roles are base",
        ),
    ],
)
def test_bad_settings_are_one_screen_and_exit_code_2(
    run: Run, project: Path, text: str, words: list[str], first: str, following: str
) -> None:
    (project / "hub.toml").write_text(text)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith(first.format(folder=project))
    assert lines[-1].startswith(following)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[extend]\nroles = ['no.py']\n" + IMAGE, "no.py: there is no such file"),
        ("[extend]\nhub_config = ['no.py']\n" + IMAGE, "no.py: cannot be read"),
        (
            "[hub]\ndomain = 'a.b'\n[tls]\nmode = 'files'\ncertificate = 'no.pem'\nkey = 'no.key'\n" + IMAGE,
            "cannot be read",
        ),
        ("[downloads]\nca_certificates = ['no.pem']\n" + IMAGE, "no.pem: cannot be read"),
        ("[image]\nbuild = 'no'\n", "no: has no Dockerfile"),
        ("[image]\narchive = 'no.tar'\n", "no.tar: there is no such file"),
    ],
)
def test_files_that_are_not_there_are_found_by_the_check(
    run: Run, project: Path, text: str, words: str
) -> None:
    (project / "hub.toml").write_text(text)
    code, _, err = run("config", "check")
    assert (code, words in err, "is valid" in err) == (2, True, False), err


def test_mistakes_stand_below_each_other(run: Run, project: Path) -> None:
    (project / "hub.toml").write_text("[hub]\nprot = 1\nport = 'x'\n" + IMAGE)
    code, _, err = run("config", "check")
    assert code == 2
    assert [line[:7] for line in err.splitlines()] == ["error: ", "       ", " next: "]


@pytest.mark.parametrize(
    "words", [["nonsense"], ["plan", "--nonsense"], ["apply", "-i", "/nowhere/key"], ["apply", "-i", "/"], []]
)
def test_bad_usage_is_exit_code_2(run: Run, words: list[str]) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert err


def test_the_traceback_is_for_those_who_ask(run: Run, project: Path) -> None:
    (project / "hub.toml").write_text("")
    code, _, err = run("-vv", "config", "check")
    assert code == 2
    assert err.startswith("Traceback")
    assert "\nerror: " in err


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (PermissionError(13, "Permission denied", "/cache"), "error: /cache: Permission denied"),
        (OSError("no such thing"), "error: no such thing"),
    ],
)
def test_what_the_system_refuses_is_one_screen(
    run: Run, monkeypatch: pytest.MonkeyPatch, refusal: OSError, line: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise refusal

    monkeypatch.setattr(deployment, "plan_or_apply", refuse)
    code, _, err = run("plan", "-H", "host")
    assert (code, err.splitlines()[0]) == (1, line)
    assert err.splitlines()[1].startswith(" next: ")
    assert "Traceback" in run("-vv", "plan", "-H", "host")[2]


def test_output_that_nobody_can_take_is_one_screen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, err = run("config", "explain")
    assert (code, err.splitlines()[0]) == (1, "error: No space left on device")


def test_output_that_nobody_reads_any_more_ends_it_silently(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert run("config", "explain")[2] == ""


def test_a_question_that_nobody_answers_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = run("plan", "-H", "host", "--ask-sudo-password")
    assert (code, err.splitlines()[-2]) == (2, "error: a question, and no terminal to answer it")


def test_settings_are_shown_without_secrets(run: Run, project: Path) -> None:
    secrets = project / "secrets.toml"
    secrets.write_text(f"[server.secrets]\nKEY = '{HIDDEN}'\n")
    secrets.chmod(0o600)
    for words in (["config", "show"], ["config", "show", "--json"]):
        code, out, err = run(*words)
        assert code == 0
        assert "KEY" in out
        assert HIDDEN not in out + err
    shown = json.loads(run("config", "show", "--json")[1])
    assert shown["hub"]["port"] == 443


def test_another_file_can_be_named(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = project / "other" / "my.toml"
    other.parent.mkdir()
    other.write_text("[hub]\nport = 9\n" + IMAGE)
    assert f"✓ {other} is valid" in run("-c", str(other), "config", "check")[2]
    monkeypatch.setenv("HUBWRIGHT_CONFIG", str(other))
    assert json.loads(run("config", "show", "--json")[1])["hub"]["port"] == 9


# --- runs -----------------------------------------------------------------------------------------

CHANGED = Result("one", "file:/x", "changed", "change /x", "-a\n+b", 1.26)
FAILED = Result("one", "file:/x", "failed", "disk is full", seconds=1.26, hint="free some")


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Make every run on hosts end so. Returns the arguments of the run."""

    def so(*outcomes: Outcome) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def converge(_: Any, targets: Any, mode: str, **options: Any) -> list[Outcome]:
            asked.update(options, targets=targets, mode=mode)
            for outcome in outcomes:
                for event in outcome.results:
                    options["handle"](outcome.host, event)
            return list(outcomes)

        monkeypatch.setattr(deployment, "plan_or_apply", converge)
        return asked

    return so


def outcome(name: str = "host", error: HubwrightError | None = None, **count: int) -> Outcome:
    counted = {key.replace("_", "-"): number for key, number in count.items()}
    results = [FAILED] if count.get("failed") else [CHANGED] if count.get("changed") else []
    if "would_change" in count:
        results = [dataclasses.replace(CHANGED, status="would-change")]
    return Outcome(name, results, counted, Hello("Debian 12"), error, 2.0)


@pytest.mark.parametrize(
    ("words", "ended", "code", "said"),
    [
        (["apply"], outcome(ok=3), 0, "✓ host: 0 changed, everything holds (2.0 s)"),
        (["apply"], outcome(changed=1, ok=2), 0, "✓ host: 1 changed, 0 removed, 2 held (2.0 s)"),
        (["apply"], outcome(changed=1), 0, "  ~ one: change /x (1.3 s)"),
        (
            ["apply"],
            outcome(failed=1, skipped=2),
            1,
            "error: host: one: file:/x: disk is full\n       2 more were not tried\n next: free some",
        ),
        (
            ["apply"],
            outcome(error=HubwrightError("does not answer", where="host", hint="is it on?")),
            1,
            "error: host: does not answer\n next: is it on?",
        ),
        (["plan"], outcome(ok=3), 0, "0 changed, everything holds"),
        (
            ["plan"],
            outcome(would_change=1, unknown=1),
            3,
            "1 to change, 0 to remove, 1 unknown until others are applied",
        ),
        (["plan"], outcome(would_change=1), 3, "      -a\n      +b\n"),
    ],
)
def test_a_run_and_its_exit_code(
    run: Run, ends: Callable[..., Any], words: list[str], ended: Outcome, code: int, said: str
) -> None:
    ends(ended)
    found, out, err = run(*words, "-H", "host")
    assert (found, out) == (code, "")
    assert said in err


def test_apply_shows_no_diffs(run: Run, ends: Callable[..., Any]) -> None:
    ends(outcome(changed=1))
    assert "+b" not in run("apply", "-H", "host")[2]


def test_destroy_asks_about_no_host_that_is_not_named(run: Run) -> None:
    code, _, err = run("destroy", "-H", ",")
    assert code == 2
    assert "Remove" not in err


def test_a_run_on_many_hosts_names_each(run: Run, ends: Callable[..., Any]) -> None:
    asked = ends(outcome("a", changed=1), outcome("b", failed=1))
    code, _, err = run("apply", "-H", "a,me@b:22", "-H", "c", "--only", "docker", "--accept-new-host-key")
    assert code == 1
    assert asked["targets"] == [Target("a"), Target("b", 22, "me"), Target("c")]
    assert (asked["only"], asked["access"].accept_new_host_key, asked["remove"]) == (("docker",), True, False)
    assert "  a ~ one: change /x" in err
    assert "error: b: one: file:/x" in err


def test_json_is_all_that_standard_output_has(run: Run, ends: Callable[..., Any]) -> None:
    ends(outcome(changed=1), outcome("other", error=HubwrightError("away", where="other")))
    code, out, _ = run("apply", "-H", "host,other", "--json")
    assert code == 1
    first, second = json.loads(out)
    assert (first["host"], first["changes"], first["failed"], first["facts"]) == (
        "host",
        1,
        False,
        {"os": "Debian 12", "hostname": "", "python": ""},
    )
    assert (second["failed"], second["error"]) == (True, "other: away")


def test_quiet_leaves_errors(run: Run, ends: Callable[..., Any]) -> None:
    ends(outcome(failed=1))
    assert run("-q", "apply", "-H", "host")[2].startswith("error: ")


@pytest.mark.parametrize(
    ("words", "answer", "code", "said"),
    [
        (["-y"], "", 0, "1 removed"),
        ([], "y\n", 0, "1 removed"),
        ([], "n\n", 1, "error: nothing is removed\n"),
        (
            [],
            "",
            2,
            "\nerror: a question, and no terminal to answer it; nothing is removed\n next: add --yes\n",
        ),
    ],
)
def test_destroy_asks_before_it_removes(
    run: Run,
    ends: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    answer: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    found = ends(outcome(removed=1))
    ended, _, err = run("destroy", "-H", "host", *words)
    assert ended == code
    assert said in err
    assert (found.get("remove"), found.get("mode")) == ((None, None) if code else (True, "apply"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere/hub.tar"], "nowhere: there is no such folder"),
        (["hub.tgz"], "machines of the provider docker become .tar"),
        (["hub.tar"], "the settings hold secrets: server.secrets.KEY"),
    ],
)
def test_what_cannot_be_baked_is_refused_before_anything_is_done(
    run: Run, project: Path, ends: Callable[..., Any], words: list[str], said: str
) -> None:
    (project / "secrets.toml").write_text("[server.secrets]\nKEY = 'x'\n" if words == ["hub.tar"] else "")
    (project / "secrets.toml").chmod(0o600)
    asked = ends(outcome(ok=1))
    for further in ([], ["--yes"]):
        code, _, err = run("bake", *words, *further)
        assert (code, asked) == (2, {})
        assert said in err
        assert "Remove" not in err


def test_up_deploys_on_the_machine_that_it_raised(
    run: Run, ends: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[str] = []
    machine = Target("127.0.0.1", 2222, "vagrant", made_here=True)
    monkeypatch.setattr(DockerMachine, "up", lambda *_: raised.append("up"))
    monkeypatch.setattr(DockerMachine, "target", lambda _: machine)
    monkeypatch.setattr(DockerMachine, "url", lambda _: "http://127.0.0.1:8000/")
    asked = ends(outcome(ok=1))
    code, out, _ = run("up")
    assert (code, out, raised) == (0, "http://127.0.0.1:8000/\n", ["up"])
    assert asked["targets"] == [machine]


def test_no_machine_is_raised_for_settings_that_cannot_be_deployed(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "hub.toml").write_text("[downloads]\nca_certificates = ['no.pem']\n" + IMAGE)
    monkeypatch.setattr(DockerMachine, "up", lambda *_: pytest.fail("a machine is raised"))
    code, _, err = run("up")
    assert code == 2
    assert "no.pem: cannot be read" in err


def test_an_interrupted_command_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deployment, "plan_or_apply", interrupted)
    code, _, err = run("apply", "-H", "host")
    assert (code, "repeat the command" in err) == (1, True)


# --- looking --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "deployed", "error", "healthy"),
    [
        ([], True, None, True),
        (["hubwright-culler is inactive", "Docker's network hubwright is gone"], True, None, False),
        ([], False, None, False),
        ([], True, HubwrightError("away"), False),
    ],
)
def test_status_ends_with_1_unless_all_is_well(
    run: Run, monkeypatch: pytest.MonkeyPatch, faults: list[str], deployed: bool, error: Any, healthy: bool
) -> None:
    last = {"time": "2026-01-01T00:00:00Z", "failed": [], "changed": ["a", "b"]}
    found = HostStatus("host", deployed, {"jupyterhub": "active"}, 3, last, 5 << 30, faults, error)
    monkeypatch.setattr(inspect, "status", lambda *_: [found])
    code, out, _ = run("status", "-H", "host")
    assert code == (0 if healthy else 1)
    if deployed and not error:
        assert ("host: well" if healthy else "host: NOT well") in out
        assert "5.0 GiB" in out
        assert "2 changed" in out
        assert all(f"✗ {fault}" in out for fault in faults)
    (as_json,) = json.loads(run("status", "-H", "host", "--json")[1])
    assert (as_json["healthy"], as_json["servers"], as_json["faults"]) == (healthy, 3, faults)


ROLE = "from roles.role import Role\nROLE = Role('mine', '', lambda _: [], {})"
BROKEN = {
    "missing": "",
    "no Python": "if:",
    "a mistake in units": ROLE.format("units=lambda _: 1 / 0"),
    "a mistake in wanted": ROLE.format("wanted=lambda _: 3"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    "words", [("status",), ("logs",), ("logs", "--unit", "culler"), ("destroy", "--yes")]
)
def test_a_broken_role_of_the_operators_own_is_a_warning_to_all_that_apply_nothing(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], text: str
) -> None:
    removed: list[bool] = []

    def answer(*_: Any, show: Any = None) -> str:
        if show:
            show("a line")
        return json.dumps({"deployed": True, "faults": []})

    def plan_or_apply(
        _: Settings, targets: list[Target], *__: Any, remove: bool, **___: Any
    ) -> list[Outcome]:
        removed.append(remove)
        return [Outcome(target.name) for target in targets]

    (project / "hub.toml").write_text("[extend]\nroles = ['mine.py']\n" + IMAGE)
    if text:
        (project / "mine.py").write_text(text + "\n")
    monkeypatch.setattr(inspect, "command", answer)
    monkeypatch.setattr(deployment, "plan_or_apply", plan_or_apply)
    code, _, err = run(*words, "-H", "host")
    assert code == 0, err
    assert err.count(f"warning: extend.roles: {project / 'mine.py'}: ") == 1
    assert removed == ([True] if words[0] == "destroy" else [])


@pytest.mark.parametrize("command", ["logs", "status-page"])
def test_a_password_is_asked_for_once(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    asked: list[str] = []
    used: set[Any] = set()

    def prompt(text: str, **_: Any) -> str:
        asked.append(text)
        return HIDDEN

    def answer(target: Target, access: Access, _: str, show: Any = None) -> str:  # noqa: ARG001
        used.add((target.name, access.sudo_password))
        return "/ticket"

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr(inspect, "command", answer)
    assert run(command, "-H", "a,b", "--ask-sudo-password")[0] == 0
    assert len(asked) == 1
    assert used == {("a", HIDDEN), ("b", HIDDEN)}


@pytest.mark.parametrize(
    ("answer", "what", "hint"),
    [
        ("", "nothing is deployed", "`hubwright apply` deploys a hub"),
        ("no-page\n", "there is no status page", "graphite = true"),
    ],
)
def test_a_host_without_a_status_page(
    run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, what: str, hint: str
) -> None:
    monkeypatch.setattr(inspect, "command", lambda *_, **__: answer)
    code, out, err = run("status-page", "-H", "host")
    assert (code, out) == (1, "")
    assert what in err
    assert hint in err


def test_status_of_many_hosts_survives_one_that_is_away(
    monkeypatch: pytest.MonkeyPatch, hub: Callable[..., Settings]
) -> None:
    def command(target: Target, *_: Any) -> str:
        if target.host == "away":
            raise HubwrightError("does not answer", where="away")
        return json.dumps({"deployed": True, "faults": []})

    monkeypatch.setattr(inspect, "command", command)
    here, away = inspect.status(hub(), [Target("here"), Target("away")], Access(), Reporter())
    assert (here.healthy, away.healthy, str(away.error)) == (True, False, "away: does not answer")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "journalctl --no-pager --output=short-iso --lines=100 --unit=jupyterhub"),
        (
            ["--unit", "culler", "-n", "5", "-f"],
            "journalctl --no-pager --output=short-iso --lines=5 --unit=hubwright-culler --follow",
        ),
        (
            ["--unit", "hubwright-fence-repair"],
            "journalctl --no-pager --output=short-iso --lines=100 --unit=hubwright-fence-repair",
        ),
    ],
)
def test_logs(run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], line: str) -> None:
    asked = []

    def command(_: Target, __: Any, text: str, show: Callable[[str], None]) -> str:
        asked.append(text)
        show("a line")
        return ""

    monkeypatch.setattr(inspect, "command", command)
    assert run("logs", "-H", "host", *words)[:2] == (0, "a line\n")
    assert asked == [line]


@pytest.mark.parametrize(
    ("found", "outcome"), [({"found": 1}, (0, "hello\n")), ({"found": 0, "near": ["adam"]}, (1, ""))]
)
def test_logs_of_a_person_s_server(
    run: Run, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], outcome: tuple[int, str]
) -> None:
    def command(_: Target, __: Any, text: str, show: Callable[[str], None]) -> str:
        assert text.endswith("server_logs.py --follow 5 ada")
        show(json.dumps(found))
        if found["found"]:
            show("hello")
        return ""

    monkeypatch.setattr(server_logs, "command", command)
    code, out, err = run("logs", "-H", "host", "--server", "ada", "-n", "5", "-f")
    assert (code, out) == outcome
    assert ("did you mean 'adam'?" in err) is (code == 1)


def test_logs_of_a_unit_that_no_hub_has(run: Run) -> None:
    code, _, err = run("logs", "-H", "host", "--unit", "a b; x")
    assert (code, "no unit 'a b; x'" in err, "hubwright-culler" in err) == (2, True, True)
    assert "did you mean 'hubwright-culler'?" in run("logs", "-H", "host", "--unit", "hubwright-culer")[2]


@pytest.mark.parametrize(
    "words",
    [["-n", "-5"], ["-n", "0"], ["-n", "99999999999999"], ["--unit", "jupyterhub", "--server", "ada"]],
)
def test_logs_that_cannot_be_shown(run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    for module in (inspect, server_logs):
        monkeypatch.setattr(module, "command", lambda *_, **__: pytest.fail("a host is asked"))
    code, out, err = run("logs", "-H", "host", *words)
    assert (code, out) == (2, "")
    assert "100000" in err or "two different logs" in err


def test_only_timers_that_a_hub_has_name_a_log(run: Run, project: Path) -> None:
    (project / "hub.toml").write_text("[tls]\nmode = 'off'\n" + IMAGE)
    assert run("logs", "-H", "host", "--unit", "hubwright-certificate")[0] == 2


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "https://server:443/"),
        ("[hub]\ndomain = 'hub.example.org'\nport = 8443", "https://hub.example.org:8443/"),
        ("[hub]\ndomain = '2001:db8::1'", "https://[2001:db8::1]:443/"),
        ("[hub]\ndomain = 'hub.example.org'\n[tls]\nmode = 'behind-proxy'", "https://hub.example.org/"),
        ("[tls]\nmode = 'off'", "http://server:80/"),
    ],
)
def test_the_front_door_of_a_host(hub: Callable[..., Settings], text: str, url: str) -> None:
    assert inspect.hub_url(hub(text), Target("server", 22, "you")) == url
