"""The content of a wheel besides its packages: the files that the program reads, laid out as in a clone.

An editable installation has none of them: the program then finds them in the clone itself.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INTO = "provision/project"  # where provision/tools/project.py looks


class ProjectFiles(BuildHookInterface[Any]):
    """Places the files that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"].update({path: f"{INTO}/{path}" for path in self.config["files"]})
