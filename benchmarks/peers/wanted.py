"""The list of resources that every way makes true: files, directories, a user, packages, a unit."""

from __future__ import annotations

from dataclasses import dataclass

PACKAGES = ("ca-certificates", "curl", "rsync")
USER = "bench"
UNIT_NAME = "bench"
UNIT = """[Unit]
Description=A unit that does nothing
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
LINES = 30  # of a file
FILES_A_FOLDER = 10


@dataclass(frozen=True)
class Wanted:
    """`count` files in folders, below a root of their own, and the same few other things for all counts."""

    count: int

    @property
    def root(self) -> str:
        return f"/srv/bench-{self.count}"

    @property
    def folders(self) -> list[str]:
        needed = -(-self.count // FILES_A_FOLDER)
        return [self.root, *(f"{self.root}/{number}" for number in range(needed))]

    @property
    def files(self) -> dict[str, str]:
        """Path → content; each belongs to root and has mode 0644."""
        return {
            f"{self.root}/{number // FILES_A_FOLDER}/{number}.conf": "".join(
                f"key_{line} = value {number} of line {line}\n" for line in range(LINES)
            )
            for number in range(self.count)
        }
