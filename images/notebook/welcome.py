"""The welcome notebook of a visitor's server: its text says what holds for this server.

The hub says so in variables: HUBWRIGHT_TITLE, HUBWRIGHT_HOME, HUBWRIGHT_IDLE_TIMEOUT, HUBWRIGHT_MAX_AGE and
HUBWRIGHT_DISK_LIMIT, beside MEM_LIMIT and CPU_LIMIT, which JupyterHub itself sets. Times are seconds, sizes
bytes, and 0 means no limit. Nothing is said about a variable that is not there.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).with_suffix(".ipynb")
NAME = TEMPLATE.name
HUNDREDTHS = 100


def place(home: Path, environment: Mapping[str, str]) -> str:
    """Put the notebook into a home that has none. Returns the path that shows it in JupyterLab.

    Where it cannot be written, as in a home that is full, the path is JupyterLab's own.
    """
    notebook = home / NAME
    try:
        if not notebook.exists():
            notebook.write_text(filled(TEMPLATE.read_text(encoding="utf-8"), environment), encoding="utf-8")
    except OSError:
        return "/lab"
    return f"/lab/tree/{NAME}"


def filled(template: str, environment: Mapping[str, str]) -> str:
    """The template, a notebook, with the facts of this server in its text."""
    notebook = json.loads(template)
    facts = {
        "{{title}}": environment.get("HUBWRIGHT_TITLE", "JupyterLab"),
        "{{limits}}": limits(environment),
        "{{kept}}": kept(environment),
    }
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            for mark, fact in facts.items():
                text = text.replace(mark, fact)
            cell["source"] = text
    # The kernel's own version: with another one, a notebook just opened would count as changed.
    notebook["metadata"]["language_info"]["version"] = platform.python_version()
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def limits(environment: Mapping[str, str]) -> str:
    """A sentence about memory, processor and disk."""
    parts = []
    if memory := _number(environment, "MEM_LIMIT"):
        parts.append(f"**{_size(memory)}** of memory")
    if cores := _number(environment, "CPU_LIMIT"):
        parts.append(f"**{_count(cores, 'processor core')}**")
    if disk := _number(environment, "HUBWRIGHT_DISK_LIMIT"):
        parts.append(f"room for **{_size(disk)}** of files")
    if not parts:
        return "Your server shares its computer with others."
    text = f"Your server may use {_listed(parts, 'and')}."
    return f"{text} A server that writes more than that ends." if disk else text


def kept(environment: Mapping[str, str]) -> str:
    """Sentences about how long files are kept."""
    home = environment.get("HUBWRIGHT_HOME")
    if not home:
        return "Ask the people who run this service how long your files are kept."
    if home != "ephemeral":
        return f"{_end(environment)} Your files stay, and are here when you come back."
    return (
        f"{_end(environment)} **All files are gone then, this notebook included.** To keep one, click it "
        "with the right mouse button in the list on the left, and choose *Download*."
    )


def _end(environment: Mapping[str, str]) -> str:
    """A sentence that says when the server ends."""
    reasons = []
    if idle := _number(environment, "HUBWRIGHT_IDLE_TIMEOUT"):
        reasons.append(f"when it has not been used for **{_time(idle)}**")
    if age := _number(environment, "HUBWRIGHT_MAX_AGE"):
        reasons.append(f"when it has run for **{_time(age)}**")
    if not reasons:
        return "This server runs until you, or the people who run this service, stop it."
    return f"This server ends {_listed(reasons, 'or')}."


def _number(environment: Mapping[str, str], name: str) -> float:
    try:
        return float(environment.get(name, "0"))
    except ValueError:
        return 0


def _size(count: float) -> str:
    unit = "MiB"
    count /= 1024**2
    if count >= 1024:
        unit, count = "GiB", count / 1024
    return f"{_short(count)} {unit}"


def _time(seconds: float) -> str:
    """Seconds in the largest unit that says them exactly."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            return _count(seconds / length, unit)
    return _count(seconds, "second")


def _count(number: float, unit: str) -> str:
    return f"{_short(number)} {unit}{'' if number == 1 else 's'}"


def _short(number: float) -> str:
    """A number with two digits behind the point at most, rounded down."""
    return f"{int(number * HUNDREDTHS) / HUNDREDTHS:g}"


def _listed(parts: list[str], word: str) -> str:
    *others, last = parts
    return f"{', '.join(others)} {word} {last}" if others else last
