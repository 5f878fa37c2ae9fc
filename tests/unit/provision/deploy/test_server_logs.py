"""`hubwright logs --server NAME`, over hosts that know the name or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from provision.deploy import server_logs
from provision.errors import HubwrightError
from provision.report.reporter import Reporter
from provision.ssh import Access, Target

ONE, TWO = Target("one", None, "root"), Target("two", None, "root")


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str] | HubwrightError]:
    """The answers of hosts, line by line; `asked` is the last question to them."""
    answers: dict[str, Any] = {}

    def command(target: Target, _: Access, line: str, show: Callable[[str], None]) -> str:
        answers["asked"] = line
        if isinstance(answers[target.name], HubwrightError):
            raise answers[target.name]
        for text in answers[target.name]:
            show(text)
        return ""

    monkeypatch.setattr(server_logs, "command", command)
    return answers


def ask(*targets: Target, name: str = "ada", follow: bool = False) -> bool:
    return server_logs.server_logs(targets, Access(), Reporter(), name=name, lines=7, follow=follow)


FOUND = [json.dumps({"found": 1, "near": []}), "--- ada, running", "hello"]


def nothing(*near: str) -> list[str]:
    return [json.dumps({"found": 0, "near": near})]


def test_what_a_server_says_is_shown(hosts: Any, capsys: pytest.CaptureFixture[str]) -> None:
    hosts["one"] = FOUND
    assert ask(ONE)
    assert capsys.readouterr() == ("--- ada, running\nhello\n", "")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (nothing(), "`hubwright logs` has the hub's own log"),
        (nothing("ada", "adam"), "did you mean 'ada' or 'adam'?"),
        ([json.dumps({"found": 0, "program": False})], "`hubwright apply`"),
    ],
)
def test_an_unknown_name_is_an_error_that_helps(
    hosts: Any, capsys: pytest.CaptureFixture[str], answer: list[str], hint: str
) -> None:
    hosts["one"] = answer
    assert not ask(ONE, name="adaa")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: one: ")
    assert hint in err


@pytest.mark.parametrize("follow", [False, True])
def test_one_host_of_several_knows_it(hosts: Any, capsys: pytest.CaptureFixture[str], follow: bool) -> None:
    hosts |= {"one": nothing(), "two": FOUND}
    assert ask(ONE, TWO, follow=follow)
    assert capsys.readouterr() == ("two --- ada, running\ntwo hello\n", "")


def test_a_host_that_is_away_is_an_error_even_where_another_knows_it(
    hosts: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts |= {"one": HubwrightError("does not answer", where="one"), "two": FOUND}
    assert not ask(ONE, TWO)
    assert "error: one: does not answer" in capsys.readouterr().err


def test_a_name_is_no_command(hosts: Any) -> None:
    hosts["one"] = FOUND
    ask(ONE, name="ada; touch /x", follow=True)
    assert hosts["asked"].endswith("server_logs.py --follow 7 'ada; touch /x'")
