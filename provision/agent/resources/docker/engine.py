"""Questions to the engine, through its command line."""

from __future__ import annotations

from typing import Any

from ..base import CommandFailed, Machine, Problem


class _EngineAway(Problem):
    def __init__(self) -> None:
        super().__init__("Docker is installed and does not answer", "on the host: journalctl -u docker")


def ask(machine: Machine, command: list[str]) -> str:
    """Standard output of one of Docker's commands. Raises _EngineAway when it does not answer."""
    try:
        return machine.run(command)
    except CommandFailed as failure:
        if "Cannot connect to the Docker daemon" in failure.output:
            raise _EngineAway from None
        raise


def unless_unknown(read: Any) -> Any:
    """`read()`, or None while Docker is installed but does not answer: only a running one can tell."""
    try:
        return read()
    except _EngineAway:
        return None
