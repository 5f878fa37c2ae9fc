"""The command line: its help, its exit codes, and the form of its errors."""

from __future__ import annotations

import contextlib
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

from provision.cli import cli
from provision.deploy import apply as deployment

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


Run = Callable[..., tuple[int, str, str]]


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
