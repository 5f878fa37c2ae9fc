"""The check of an operator's configuration, with the hub's own packages: `tox -e hub`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provision.tools.project import PROJECT

PROGRAM = PROJECT / "services/hub/check_config.py"
SOUND = """
c.JupyterHub.template_vars.update({"motto": "Try it"})
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.load_roles = [{"name": "a"}]
c.JupyterHub.services.append({"name": "x"})
c.Authenticator.allowed_users = {"a"}
c.Authenticator.admin_users.add("b")
c.DockerSpawner.volumes = {"a": "/b"}
c.Spawner.args.append("--ServerApp.max_body_size=9999999")
c.Spawner.cmd = "x"
c.Spawner.environment = {"A": lambda spawner: "x"}
c.Spawner.mem_limit = "1G"
c.Spawner.pre_spawn_hook = lambda spawner: None
"""


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (SOUND, 0, "checked"),
        (
            "c.JupyterHub.concurrent_spawn_limit = 'many'",
            1,
            "concurrent_spawn_limit takes an int, not this str",
        ),
        ("c.JupyterHub.spawner_class = 'no.Such'", 1, "JupyterHub.spawner_class takes a subclass of"),
        ("c.Spawner.cpu_limit = 'half'", 1, "Spawner.cpu_limit takes a float, not this str"),
        ("import os\nos._exit(0)", 0, ""),
    ],
    ids=["sound", "type", "class", "float", "exit"],
)
def test_a_file_is_checked_with_the_hubs_classes(tmp_path: Path, text: str, code: int, words: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, PROGRAM, path], capture_output=True, text=True, check=False)
    assert done.returncode == code
    said = (done.stdout + done.stderr).splitlines()
    assert words in said[0] if words else said == []
