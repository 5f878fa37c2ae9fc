"""The output in a pipe and on a terminal, and the way pytest is told the hosts to check."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.agent.events import Result, Status
from provision.deploy import outside, verify
from provision.errors import Exit, HubwrightError, SettingsError
from provision.report.outcomes import HostStatus
from provision.report.reporter import Reporter
from provision.report.run import RunReport
from provision.report.status import show
from provision.settings import Settings
from provision.ssh import Access, Target


@pytest.mark.parametrize(
    ("error", "screen"),
    [
        (HubwrightError("it broke"), "error: it broke\n"),
        (HubwrightError("it broke", where="host", hint="mend it"), "error: host: it broke\n next: mend it\n"),
        (HubwrightError("one\ntwo", where="a"), "error: a: one\n       two\n"),
        (HubwrightError("", hint="x"), "error: \n next: x\n"),
    ],
)
def test_an_error_says_what_where_and_what_next(
    capsys: pytest.CaptureFixture[str], error: HubwrightError, screen: str
) -> None:
    Reporter(quiet=True).error(error)
    assert capsys.readouterr() == ("", screen)


def test_nobody_is_shown_the_password_of_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    reporter, text = Reporter(verbose=1), "http://me:secret@proxy:1 says 407"
    reporter.line(text)
    reporter.detail(text)
    reporter.error(HubwrightError(text, hint=text))
    assert "secret" not in capsys.readouterr().err


def test_errors_carry_their_exit_code() -> None:
    assert (HubwrightError("x").code, SettingsError("x").code) == (Exit.FAILED, Exit.USAGE)
    assert [int(code) for code in Exit] == [0, 1, 2, 3]


def test_a_step_in_a_pipe_has_a_line_at_each_end(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    with reporter.step("build it") as step:
        step.say("a detail")
        step.note = "built it"
    with pytest.raises(ValueError, match="x"), reporter.step("break it"):
        raise ValueError("x")
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.rpartition(" (")[0] or line for line in err.splitlines()] == [
        "… build it",
        "✓ built it",
        "… break it",
        "✗ break it",
    ]


def test_a_long_silence_in_a_pipe_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("provision.report.reporter.time", SimpleNamespace(monotonic=lambda: now[0]))
    reporter = Reporter(_last_line=0.0)
    for now[0] in (1.0, 6.0, 7.0, 12.0):
        reporter.detail(f"at {now[0]:.0f} s")
    assert capsys.readouterr().err.split("    ")[1:] == ["at 6 s\n", "at 12 s\n"]


def test_results_go_to_standard_output_even_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(quiet=True)
    reporter.line("progress")
    reporter.result("result")
    reporter.json({"b": 1, "a": "ä"})
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], err) == ("result", "")
    assert '"a"' in out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_pass_above_the_spinner_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    reporter = Reporter()
    with reporter.step("work [on] it") as step:
        step.say("a detail [of] it")
        reporter.line("a line [of] it")
    shown = terminal.getvalue()
    assert "a line [of] it" in shown
    assert "✓ work [on] it (" in shown
    assert reporter._spinner is None


@pytest.mark.parametrize("text", ["Step 3/9 : RUN [/usr/bin/env] hm", "[bold]x[/]", "[/]"])
def test_what_programs_say_is_no_markup(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Reporter().step(text) as step:
        step.say(text)
        assert step._reporter._spinner is not None
        shown = step._reporter._spinner.status
        assert str(shown) == f"{text}: {text}"


# --- verify ---------------------------------------------------------------------------------------


WAY = """\
host alias
user porter
hostname inside.example
port 2200
forwardagent yes
identityfile ~/my keys/id
proxyjump front,me@second
proxycommand nc -x "a proxy" %h %p
userknownhostsfile /home/me/.ssh/known /home/me/.ssh/more
globalknownhostsfile /dev/null
"""


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of a pytest that is not really started. `returncode` is its exit code."""
    seen: dict[str, Any] = {"returncode": 0, "hung_up": [], "asked": []}
    seen["way"] = {"returncode": 0, "stdout": WAY, "stderr": ""}

    def run(argv: list[str], env: Mapping[str, str] | None = None, **_: Any) -> Any:
        if argv[:2] == ["ssh", "-G"]:
            seen["asked"].append(argv)
            return SimpleNamespace(**seen["way"])
        if argv[0] == "ssh":
            seen["hung_up"].append(argv[-1])
            return SimpleNamespace(returncode=255)
        (config,) = (word for word in argv if word.startswith("--ssh-config="))
        text = Path(config.partition("=")[2]).read_text()
        seen.update(argv=argv, env=env, config=text, file=Path(config.partition("=")[2]))
        return SimpleNamespace(returncode=seen["returncode"])

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(outside, "fault", lambda _, target, *__: f"{target.name} is away")
    return seen


def test_checks_run_on_every_host_and_never_here(
    checked: dict[str, Any], hub: Callable[..., Settings]
) -> None:
    settings = hub()
    targets = [Target("127.0.0.1", 2222, "vagrant", Path("/key"), made_here=True), Target("host")]
    assert verify.verify(settings, targets, Access(known_hosts=Path("/known")), ["-k", "visit"])
    assert "--hosts=ssh://host0,ssh://host1" in checked["argv"]
    assert checked["argv"][-2:] == ["-k", "visit"]
    assert checked["env"]["HUBWRIGHT_CONFIG"] == str(settings.root / "hub.toml")
    told = json.loads(checked["env"]["HUBWRIGHT_OUTSIDE"])
    assert told == {"host0": "127.0.0.1:2222 is away", "host1": "host is away"}
    assert not checked["file"].exists()
    folder = checked["file"].parent
    assert f'ControlPath "{folder}/%n"' in checked["config"]
    assert checked["hung_up"] == ["host0", "host1"]
    made, existing = checked["config"].split("Host host1\n")
    for line in ("Host host0", "HostName 127.0.0.1", "Port 2222", "User vagrant", 'IdentityFile "/key"'):
        assert line in made
    assert "StrictHostKeyChecking no" in made
    assert "StrictHostKeyChecking yes" in existing
    assert existing.index('UserKnownHostsFile "/known"') < existing.index("userknownhostsfile"), (
        "it goes first"
    )
    assert [argv[2:] for argv in checked["asked"]] == [["--", "host"]]


def test_a_host_is_checked_where_ssh_s_configuration_leads(
    checked: dict[str, Any], hub: Callable[..., Settings]
) -> None:
    verify.verify(hub(), [Target("alias"), Target("alias", 99, "you", Path("/id"))], Access())
    assert [argv[2:] for argv in checked["asked"]] == [
        ["--", "alias"],
        ["-p", "99", "-l", "you", "--", "alias"],
    ]
    _, usual, named = re.split(r"Host host\d\n", checked["config"])
    named, jumps = named.split("Host * !host0 !host1\n")
    for line in (
        "user porter",
        "hostname inside.example",
        "port 2200",
        "proxyjump front,me@second",
        'proxycommand nc -x "a proxy" %h %p',
        "userknownhostsfile /home/me/.ssh/known /home/me/.ssh/more",
        "globalknownhostsfile /dev/null",
        "HostKeyAlgorithms -*-cert-v01@openssh.com",
    ):
        assert f"  {line}\n" in usual
        assert f"  {line}\n" in named
    assert '  identityfile "~/my keys/id"\n' in usual
    assert "my keys" not in named, "-i names the only one"
    assert "forwardagent" not in usual
    for line in ("StrictHostKeyChecking yes", "HostKeyAlgorithms -*-cert", "Include ~/.ssh/config"):
        assert line in jumps
    assert "UserKnownHostsFile" not in checked["config"], "the configuration has its own"


def test_paths_are_found_from_everywhere(
    checked: dict[str, Any],
    hub: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    target = Target("alias", identity=Path("my keys/100%"))
    verify.verify(hub(), [target], Access(known_hosts=Path("known hosts")))
    assert f'  IdentityFile "{tmp_path}/my keys/100%%"\n' in checked["config"]
    assert checked["config"].count(f'  UserKnownHostsFile "{tmp_path}/known hosts"\n') == 2


def test_a_configuration_that_ssh_refuses(checked: dict[str, Any], hub: Callable[..., Settings]) -> None:
    checked["way"] = {"returncode": 255, "stdout": "", "stderr": "config: line 1: Bad option\n"}
    with pytest.raises(HubwrightError, match=r"alias: ssh's configuration .* line 1: Bad option") as caught:
        verify.verify(hub(), [Target("alias")], Access())
    assert "ssh -G alias" in caught.value.hint


def test_a_check_that_fails_is_told(checked: dict[str, Any], hub: Callable[..., Settings]) -> None:
    checked["returncode"] = 1
    assert not verify.verify(hub(), [Target("host")], Access())


def test_checks_refuse_what_they_cannot_do(checked: dict[str, Any], hub: Callable[..., Settings]) -> None:
    with pytest.raises(HubwrightError, match="asks for no password"):
        verify.verify(hub(), [Target("host")], Access(sudo_password="x"))
    assert "argv" not in checked


def test_what_was_not_tried_is_one_line_a_role(capsys: pytest.CaptureFixture[str]) -> None:
    report = RunReport(Reporter(), "apply", 1)
    for role, id_ in (("hub", "a"), ("hub", "b"), ("culler", "c"), ("hub", "d")):
        report.handle("host", Result(role=role, id=id_, status=Status.SKIPPED, summary=f"not {id_}"))
    assert [line.split()[-3:] for line in capsys.readouterr().err.splitlines()] == [
        ["hub:", "not", "a"],
        ["culler:", "not", "c"],
    ]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"failed": ["hub"], "changed": [], "skipped": ["culler"]}, "hub failed"),
        ({"failed": [], "changed": ["x"], "skipped": ["culler"]}, "it was stopped before the end of culler"),
        ({"failed": [], "changed": ["x"]}, "1 changed"),
    ],
)
def test_the_last_run_in_words(capsys: pytest.CaptureFixture[str], run: dict[str, Any], words: str) -> None:
    show(Reporter(), [HostStatus("host", True, last_run={"time": "now", **run})], as_json=False)
    assert f"now, {words}\n" in capsys.readouterr().out
