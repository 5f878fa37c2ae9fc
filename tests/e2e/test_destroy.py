"""`hubwright destroy` leaves nothing behind on this computer."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.support.hosts.containers import Host, docker
from tests.support.operators import Operator


def processes_that_name(text: str) -> list[str]:
    """Command lines of other processes that have the name in an argument or a variable."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in words and int(folder.name) != os.getpid():
            found.append(words.replace(b"\0", b" ").decode(errors="replace")[:200])
    return found


def test_destroy_leaves_nothing_behind(operator: Operator, machine: Host) -> None:
    [facts] = json.loads(docker("container", "inspect", machine.container))
    volumes = [mount["Name"] for mount in facts["Mounts"] if mount["Type"] == "volume"]
    assert volumes
    theirs = {path.name for path in operator.folder.iterdir()} - {operator.state.name}

    operator.hubwright("destroy", "--yes")

    assert docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={facts['Id']}") == ""
    assert docker("ps", "--all", "--quiet", "--filter", f"label=hubwright.state={operator.state}") == ""
    assert not set(volumes) & set(docker("volume", "ls", "--quiet").split())
    assert machine.container not in docker("network", "ls")
    assert not operator.state.exists()
    index = (
        Path(os.environ.get("VAGRANT_HOME", Path.home() / ".vagrant.d")) / "data" / "machine-index" / "index"
    )
    assert str(operator.folder) not in index.read_text(encoding="utf-8")
    assert processes_that_name(str(operator.folder)) == []
    assert {path.name for path in operator.folder.iterdir()} == theirs


def test_destroyed_machine_is_not_there(operator: Operator, machine: Host) -> None:
    operator.hubwright("apply", code=1).says("not created", "hubwright up")
    operator.hubwright("status", code=1).says("not created")
    operator.hubwright("destroy", "--yes")
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    assert machine.container not in names.stdout.split()
