"""Commands that look at hosts: status, logs and the status page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from provision.deploy import apply as deployment
from provision.deploy import inspect, server_logs
from provision.errors import HubwrightError
from provision.report.outcomes import HostStatus, Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, Target

HIDDEN = "correct-horse-battery"
IMAGE = f'[image]\nreference = "quay.io/a/b@sha256:{"0a" * 32}"\n'


Run = Callable[..., tuple[int, str, str]]


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
