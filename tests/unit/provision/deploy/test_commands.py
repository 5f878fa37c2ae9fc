"""The operator's own commands around an apply, with their processes made up."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from provision.deploy import apply, commands
from provision.errors import HubwrightError, SettingsError
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target

Hub = Callable[..., Settings]
QUIET = Reporter(quiet=True)
TEXT = "[extend]\nbefore_apply = ['./before --now \"a b\"']\nafter_apply = ['after']\n"


class Process:
    """A process that ends with the code that its program's name asks for."""

    def __init__(self, argv: list[str], **options: Any) -> None:
        self.argv, self.options = argv, options
        log.append((argv, options["env"][commands.HOSTS]))
        if argv[0] == "missing":
            raise FileNotFoundError(2, "No such file or directory")
        self.stdout = iter(["one\n", "two\n"])
        self.returncode = 3 if "fails" in argv[0] else 0

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None: ...


log: list[tuple[list[str], str]] = []


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs and the run on hosts, in order."""
    log.clear()
    happened: list[str] = []

    def start(argv: list[str], **options: Any) -> Process:
        happened.append(argv[0])
        return Process(argv, **options)

    def on_hosts(targets: Any, *_: Any) -> list[Outcome]:
        happened.append("hosts")
        return [Outcome(target.name, count={"ok": 1}) for target in targets]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(apply, "for_each_host", on_hosts)
    monkeypatch.setattr(apply, "image_sources", lambda *_: ({}, {}))
    monkeypatch.setattr(apply, "steps", lambda *_: [])
    return happened


def start(settings: Settings, mode: Any = "apply", **options: Any) -> list[Outcome]:
    targets = [Target("one"), Target("two")]
    return apply.plan_or_apply(
        settings, targets, mode, reporter=QUIET, access=Access(), handle=lambda *_: None, **options
    )


def test_commands_run_before_and_after_and_know_the_hosts(hub: Hub, ran: list[str]) -> None:
    assert [outcome.host for outcome in start(hub(TEXT))] == ["one", "two"]
    assert ran == ["./before", "hosts", "after"]
    assert log[0] == (["./before", "--now", "a b"], "one two")


@pytest.mark.parametrize(("mode", "options"), [("plan", {}), ("apply", {"remove": True})])
def test_nothing_runs_around_a_plan_or_a_removal(
    hub: Hub, ran: list[str], mode: str, options: dict[str, Any]
) -> None:
    start(hub(TEXT), mode, **options)
    assert ran == ["hosts"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fails", "`fails` ended with exit code 3\none\ntwo"),
        ("missing", "`missing` cannot be started: No such"),
    ],
)
def test_a_command_that_fails_before_ends_it_all(hub: Hub, ran: list[str], command: str, words: str) -> None:
    with pytest.raises(HubwrightError) as caught:
        start(hub(f"[extend]\nbefore_apply = ['{command}']"))
    assert words in caught.value.what
    assert caught.value.hint == "correct that command; no host was changed"
    assert "hosts" not in ran


def test_a_command_that_fails_after_is_told_beside_the_hosts(hub: Hub, ran: list[str]) -> None:
    *_, last = start(hub("[extend]\nafter_apply = ['fails', 'never']"))
    assert ran == ["hosts", "fails"]
    assert last.failed
    assert "after_apply: `fails` ended with exit code 3" in str(last.error)


def test_nothing_runs_after_a_host_has_failed(
    hub: Hub, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Outcome("one", error=HubwrightError("away"))
    monkeypatch.setattr(apply, "for_each_host", lambda *_: [failed])
    start(hub(TEXT))
    assert "after" not in ran


@pytest.mark.parametrize("command", ["", "   ", "say 'open"])
def test_what_is_no_command_is_refused(hub: Hub, command: str) -> None:
    with pytest.raises(SettingsError, match="should be a command"):
        hub(f'[extend]\nbefore_apply = ["{command}"]')
