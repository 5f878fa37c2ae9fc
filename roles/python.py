"""The hub's own Python, beside the distribution's."""

from __future__ import annotations

from provision.agent.resources import AptPackages, PythonEnv, Resource
from roles import paths
from roles.inputs import Inputs


def environment(i: Inputs) -> PythonEnv:
    mirrors = i.settings.mirrors
    return PythonEnv(
        paths.SOFTWARE,
        lock=i.files["roles/locks/hub.txt"],
        installer_lock=i.files["roles/locks/uv.txt"],
        node={name: i.files[f"roles/locks/{name}"] for name in ("package.json", "package-lock.json")},
        pypi=mirrors.pypi or "",
        npm=mirrors.npm or "",
    )


def steps(i: Inputs) -> list[Resource]:
    return [AptPackages("python", ("python3-venv",)), environment(i)]
