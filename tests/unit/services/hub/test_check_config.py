"""The errors found in a file of JupyterHub configuration before a hub loads it."""

from __future__ import annotations

import re
from pathlib import Path

import check_config
import pytest
from traitlets import Dict, Enum, Int, List, Unicode, default
from traitlets.config import Config, Configurable


class Spawner(Configurable):
    mem_limit = Int(0).tag(config=True)
    inner = Int(0)
    cmd = List(Unicode()).tag(config=True)
    labels = Dict().tag(config=True)
    size = Enum(["small", "large"]).tag(config=True)
    maybe = Int(None, allow_none=True).tag(config=True)
    made: List[str] = List().tag(config=True)

    def __init__(self) -> None:
        raise AssertionError("a check makes no spawner")

    @default("made")
    def _made(self) -> list[str]:
        raise AssertionError("a check asks for no default of a running hub")


CLASSES: dict[str, type[Configurable]] = {"Spawner": Spawner}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("c.Spawner.mem_limit = 1", []),
        ("c.Spawner.mem_limt = 1", ["Spawner has no option mem_limt, did you mean mem_limit?"]),
        ("c.Spawner.inner = 1", ["Spawner has no option inner"]),
        ("c.Spawnr.mem_limit = 1", ["there is no class Spawnr, did you mean Spawner?"]),
        ("c.Spawner.environment.update({'a': 'b'})", ["Spawner has no option environment"]),
        ("c.Spawner.mem_limit = 'hidden'", ["Spawner.mem_limit takes an int, not this str"]),
        ("c.Spawner.mem_limit = None", ["Spawner.mem_limit takes an int, not this NoneType"]),
        ("c.Spawner.maybe = None", []),
        ("c.Spawner.size = 'tiny'", ["Spawner.size takes any of ['small', 'large'], not this str"]),
        ("c.Spawner.cmd = ['a']", []),
        ("c.Spawner.cmd.append('a')", []),
        ("c.Spawner.cmd.append(1)", ["Spawner.cmd takes a list, but not with what is in this one"]),
        ("c.Spawner.made.append('a')", []),
        ("c.Spawner.labels.update({'a': 1})", []),
        ("c.Spawner.labels = lambda spawner: {}", ["Spawner.labels takes a dict, not this function"]),
    ],
)
def test_options_and_values_that_the_hub_would_not_take(tmp_path: Path, text: str, said: list[str]) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    assert check_config.faults(check_config.load(path), CLASSES) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\nc.Spawner.mem_limit = y\n", "NameError: name 'y' is not defined, at line 2"),
        ("import sys\nsys.exit(0)\n", "SystemExit: 0, at line 2"),
        ("x = 1\nwhile True:\n    pass\n", "TimeoutError: it did not end within 0.05 s, at line [23]"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt: , at line 1"),
        ("print('mine')\nraise SystemExit\n", "SystemExit: , at line 2\nmine"),
    ],
)
def test_a_file_that_raises_names_its_line_before_what_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    monkeypatch.setattr("sys.argv", ["check_config.py", str(path)])
    monkeypatch.setattr(check_config, "load_packages", lambda: None)
    monkeypatch.setattr(check_config, "TIME_LIMIT", 0.05)
    with pytest.raises(SystemExit) as caught:
        check_config.main()
    assert re.fullmatch(said, str(caught.value.code))
    assert capsys.readouterr().out == ""


def test_a_file_without_errors_is_said_to_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.py"
    path.write_text("print('mine', end='')\nc.Spawner.mem_limit = 1\n")
    monkeypatch.setattr("sys.argv", ["check_config.py", str(path)])
    monkeypatch.setattr(check_config, "load_packages", lambda: None)
    monkeypatch.setattr(check_config, "known_classes", lambda: CLASSES)
    check_config.main()
    assert capsys.readouterr().out == "checked\n"


def test_nothing_to_say() -> None:
    assert check_config.faults(Config(), CLASSES) == []
