"""`hubwright --help` answers at once, because it imports little. No machine is needed."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.support.operators import PROGRAMS, PROJECT

# Each takes a noticeable part of a second, or brings one that does.
SLOW = {
    "asyncio",
    "cryptography",
    "fabric",
    "jinja2",
    "paramiko",
    "pydantic",
    "pygments",
    "rich",
    "ssl",
    "tomli",
    "tomllib",
    "urllib.request",
    "vagrant",
    "yaml",
}
OURS = {"provision.cli", "provision.errors", "provision.report", "provision.agent.masking"}

PROGRAM = """
import json, sys
from provision.cli import main
sys.argv[0] = "hubwright"
code = 0
try:
    main()
except SystemExit as end:
    code = end.code
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], ["apply", "--help"], ["config", "--help"]])
def test_help_imports_little(words: list[str]) -> None:
    done = subprocess.run(
        [str(PROGRAMS / "python"), "-c", PROGRAM, *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Usage: ")
    said = json.loads(done.stderr)
    assert said["code"] == 0
    imported = set(said["modules"])
    assert "click" in imported, "it is the real program"
    assert imported & SLOW == set()
    ours = {name for name in imported if name.startswith(("provision.", "roles"))}
    packages = {"provision.agent"}
    assert {name for name in ours - packages if not name.startswith(tuple(OURS))} == set()
