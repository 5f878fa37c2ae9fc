"""The hub's own Python environment, on conda's interpreter or on the distribution's."""

from __future__ import annotations

from provision.agent.resources import AptPackages, PythonEnv, Resource
from roles.python import miniconda
from roles.shared import paths
from roles.shared.inputs import Inputs


def environment(i: Inputs) -> PythonEnv:
    python = i.settings.python
    conda = python.provider == "miniconda"  # and brings Node
    return PythonEnv(
        paths.SOFTWARE,
        lock=i.files["roles/locks/hub.txt"] + ("" if conda else i.files["roles/locks/node.txt"]),
        installer_lock=i.files["roles/locks/uv.txt"],
        node={name: i.files[f"roles/locks/{name}"] for name in ("package.json", "package-lock.json")},
        interpreter=miniconda.interpreter(python).path if conda else "",
    )


def steps(i: Inputs) -> list[Resource]:
    python = i.settings.python
    if python.provider == "miniconda":
        return [miniconda.prefix(python, i.settings.mirrors), miniconda.interpreter(python), environment(i)]
    return [AptPackages("python", ("python3-venv",)), environment(i)]
