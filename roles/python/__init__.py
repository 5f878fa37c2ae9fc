"""The hub's own Python environment, on conda's interpreter or on the distribution's."""

from __future__ import annotations

from provision.agent.resources import AptPackages, PythonEnv, Resource
from roles.python import miniconda
from roles.role import Role
from roles.shared import paths
from roles.shared.inputs import Inputs


def environment(inputs: Inputs) -> PythonEnv:
    python = inputs.settings.python
    conda = python.provider == "miniconda"  # and brings Node
    return PythonEnv(
        paths.SOFTWARE,
        lock="".join(
            [
                inputs.files["roles/locks/hub.txt"],
                "" if conda else inputs.files["roles/locks/node.txt"],
                inputs.packages,
            ]
        ),
        installer_lock=inputs.files["roles/locks/uv.txt"],
        node={name: inputs.files[f"roles/locks/{name}"] for name in ("package.json", "package-lock.json")},
        interpreter=miniconda.interpreter(python).path if conda else "",
    )


def steps(inputs: Inputs) -> list[Resource]:
    python = inputs.settings.python
    if python.provider == "miniconda":
        return [
            miniconda.prefix(python, inputs.settings.downloads),
            miniconda.interpreter(python),
            environment(inputs),
        ]
    return [AptPackages("python", ("python3-venv",)), environment(inputs)]


ROLE = Role("python", "the hub's Python environment and its Node", steps, ("base",))
