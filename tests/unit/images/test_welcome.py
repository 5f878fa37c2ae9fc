"""The welcome notebook describes the server that it is on."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "images" / "notebook"
HUB = {
    "HUBWRIGHT_TITLE": "Try it",
    "HUBWRIGHT_HOME": "ephemeral",
    "HUBWRIGHT_IDLE_TIMEOUT": "3600",
    "HUBWRIGHT_MAX_AGE": "0",
    "HUBWRIGHT_DISK_LIMIT": str(10 << 30),
    "MEM_LIMIT": str(384 << 20),
    "CPU_LIMIT": "1.0",
}


@pytest.fixture
def welcome() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "welcome.py"))


def text(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize(
    ("changed", "said", "unsaid"),
    [
        ({}, "# Welcome to Try it\n", "{{"),
        ({}, "**384 MiB** of memory, **1 processor core** and room for **10 GiB** of files", "run for"),
        ({}, "ends when it has not been used for **1 hour**. **All files are gone then", "Your files stay"),
        ({"HUBWRIGHT_DISK_LIMIT": "0", "CPU_LIMIT": "1.5"}, "and **1.5 processor cores**.", "writes more"),
        ({"MEM_LIMIT": str(3 << 29)}, "**1.5 GiB** of memory", "MiB"),
        ({"MEM_LIMIT": str((2 << 30) - 1)}, "**1.99 GiB** of memory", "**2 GiB"),
        ({"HUBWRIGHT_IDLE_TIMEOUT": "5400"}, "for **90 minutes**.", "hour"),
        ({"HUBWRIGHT_MAX_AGE": "86400"}, "**1 hour** or when it has run for **1 day**.", "days"),
        ({"HUBWRIGHT_IDLE_TIMEOUT": "0"}, "runs until you, or the people who run", "not been used"),
        ({"HUBWRIGHT_HOME": "volume"}, "**1 hour**. Your files stay", "gone"),
        ({"HUBWRIGHT_HOME": ""}, "Ask the people who run this service", "gone"),
        ({"MEM_LIMIT": "", "CPU_LIMIT": "", "HUBWRIGHT_DISK_LIMIT": ""}, "shares its computer", "may use"),
    ],
)
def test_the_text_is_true_for_the_hub(
    welcome: dict[str, Any], tmp_path: Path, changed: dict[str, str], said: str, unsaid: str
) -> None:
    assert welcome["place"](tmp_path, HUB | changed) == "/lab/tree/welcome.ipynb"
    found = text(tmp_path / "welcome.ipynb")
    assert said in found
    assert unsaid not in found


def test_it_says_nothing_wrong_without_a_hub(welcome: dict[str, Any], tmp_path: Path) -> None:
    welcome["place"](tmp_path, {})
    found = text(tmp_path / "welcome.ipynb")
    assert "# Welcome to JupyterLab\n" in found
    assert "gone" not in found
    assert "{{" not in found


def test_a_notebook_that_is_there_stays_as_it_is(welcome: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "welcome.ipynb").write_text("mine")
    assert welcome["place"](tmp_path, HUB) == "/lab/tree/welcome.ipynb"
    assert (tmp_path / "welcome.ipynb").read_text() == "mine"


def test_a_home_that_takes_nothing_opens_without_it(
    welcome: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert welcome["place"](tmp_path, HUB) == "/lab"


@pytest.mark.parametrize("title", ['Mind the "gap"', "Über\nuns", "a\\b"])
def test_any_title_makes_a_notebook(welcome: dict[str, Any], tmp_path: Path, title: str) -> None:
    welcome["place"](tmp_path, HUB | {"HUBWRIGHT_TITLE": title})
    assert f"# Welcome to {title}\n" in text(tmp_path / "welcome.ipynb")
