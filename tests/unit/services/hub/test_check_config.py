"""The errors found in a file of JupyterHub configuration before a hub loads it."""

from __future__ import annotations

from pathlib import Path

import check_config
import pytest
from traitlets import Int
from traitlets.config import Config, Configurable


class Spawner(Configurable):
    mem_limit = Int(0).tag(config=True)
    inner = Int(0)


CLASSES: dict[str, type[Configurable]] = {"Spawner": Spawner}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("c.Spawner.mem_limit = 1", []),
        ("c.Spawner.mem_limt = 1", ["Spawner has no option mem_limt, did you mean mem_limit?"]),
        ("c.Spawner.inner = 1", ["Spawner has no option inner"]),
        ("c.Spawnr.mem_limit = 1", ["there is no class Spawnr, did you mean Spawner?"]),
        ("c.Spawner.environment.update({'a': 'b'})", ["Spawner has no option environment"]),
    ],
)
def test_options_that_would_be_passed_over(tmp_path: Path, text: str, said: list[str]) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    assert check_config.faults(check_config.load(path), CLASSES) == said


def test_a_file_that_raises_names_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "own.py"
    path.write_text("x = 1\nc.Spawner.mem_limit = y\n")
    monkeypatch.setattr("sys.argv", ["check_config.py", str(path)])
    with pytest.raises(SystemExit, match="NameError: name 'y' is not defined, at line 2"):
        check_config.main()


def test_nothing_to_say() -> None:
    assert check_config.faults(Config(), CLASSES) == []
