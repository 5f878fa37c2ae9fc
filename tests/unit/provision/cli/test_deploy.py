"""Commands that plan, apply, raise and remove."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.deploy import apply as deployment
from provision.errors import HubwrightError
from provision.machines.docker import DockerMachine
from provision.report.outcomes import Outcome
from provision.ssh import Target
from tests.support.fakes.runs import outcome

IMAGE = f'[image]\nreference = "quay.io/a/b@sha256:{"0a" * 32}"\n'


Run = Callable[..., tuple[int, str, str]]


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Make every run on hosts end so. Returns the arguments of the run."""

    def so(*outcomes: Outcome) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def converge(_: Any, targets: Any, mode: str, **options: Any) -> list[Outcome]:
            asked.update(options, targets=targets, mode=mode)
            for one in outcomes:
                for event in one.results:
                    options["handle"](one.host, event)
            return list(outcomes)

        monkeypatch.setattr(deployment, "plan_or_apply", converge)
        return asked

    return so


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


def test_what_people_will_miss_is_a_warning_and_no_failure(run: Run, ends: Callable[..., Any]) -> None:
    ended = outcome(changed=1)
    ended.remarks.append("people may not get in")
    asked = ends(ended)
    code, _, err = run("apply", "-H", "host", "--from", "me@elsewhere:22")
    assert (code, asked["watcher"]) == (0, Target("elsewhere", 22, "me"))
    assert "! host: warning: people may not get in\n" in err
    assert run("apply", "-H", "host", "--from", "a b")[0] == 2


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
