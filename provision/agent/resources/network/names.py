"""Names in the DNS."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from ..base import Change, Machine, Problem, Resource


@dataclass(frozen=True)
class ResolvableName(Resource):
    """A name that resolves. A run cannot make that true, so a plan fails already when it does not."""

    name: str
    needed_for: str

    preparatory = True

    @property
    def id(self) -> str:
        return f"name:{self.name}"

    def check(self, machine: Machine) -> Change | None:  # noqa: ARG002
        try:
            look_up(self.name)
        except OSError as error:
            raise Problem(
                f"{self.name} does not resolve ({error.strerror}), which {self.needed_for} needs",
                f"make an A or AAAA record of {self.name} that leads to this host, or correct [hub] domain",
            ) from None
        return None

    def apply(self, machine: Machine) -> None:
        """Never needed: `check` returns None or raises."""

    def remove(self, machine: Machine) -> str | None:  # noqa: ARG002
        return None


def look_up(name: str) -> None:
    """Look up a name. Raises OSError when it has no address."""
    socket.getaddrinfo(name, None)
