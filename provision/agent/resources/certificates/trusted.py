"""Certificates that the host trusts beside the distribution's own."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..apt.packages import wait_for_apt
from ..base import Change, Machine, Resource
from ..fs import lstat, read_text, sync, unlink, write_atomically

FOLDER = "/usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BEGIN = "-----BEGIN"
PROGRAM = "update-ca-certificates"


@dataclass(frozen=True)
class TrustedCertificate(Resource):
    """A PEM certificate in the system's bundle. `name` is its file's name without `.crt`."""

    name: str
    pem: str

    @property
    def id(self) -> str:
        return f"certificate:{self.name}"

    @property
    def _path(self) -> str:
        return f"{FOLDER}/{self.name}.crt"

    def check(self, machine: Machine) -> Change | None:
        bundle = machine.cached("trusted", lambda: read_text(BUNDLE))
        if read_text(self._path) != self.pem or self.pem.strip() not in bundle:
            return Change(f"trust the certificate authority {self.name}")
        doubled = machine.cached("trusted-twice", lambda: is_doubled(bundle))
        if doubled or machine.claims(self).get("updating"):
            return Change("make the host's trusted certificates again: an update of them was cut short")
        return None

    def apply(self, machine: Machine) -> None:
        # An existing file may be ours, of a run that was cut short: the claim of that run still holds.
        cut_short = bool(machine.claims(self).get("updating")) or is_doubled(read_text(BUNDLE))
        machine.claim(self, updating=True, **({} if os.path.exists(self._path) else {"created": True}))
        os.makedirs(FOLDER, exist_ok=True)
        write_atomically(self._path, self.pem, 0o644)
        _update(machine, fresh=cut_short)
        machine.claim(self, updating=False)

    def remove(self, machine: Machine) -> str | None:
        if machine.claims(self).get("created"):
            unlink(self._path)
            if os.path.exists(f"/usr/sbin/{PROGRAM}"):
                _update(machine, fresh=True)
        return None

    @property
    def folders(self) -> tuple[str, ...]:
        return (FOLDER,)


def _update(machine: Machine, *, fresh: bool) -> None:
    """Make the bundle and its links again. `fresh`: the links too, which it else takes for complete.

    The program adds to the unfinished bundle that a killed one has left, and makes no link for a certificate
    that the killed one had come to.
    """
    wait_for_apt(machine)  # packages start the same program
    fresh = fresh or lstat(f"{BUNDLE}.new") is not None
    unlink(f"{BUNDLE}.new")
    machine.run([PROGRAM, *(["--fresh"] if fresh else [])])
    sync(BUNDLE)
    machine.invalidate("trusted")
    machine.invalidate("trusted-twice")


def is_doubled(bundle: str) -> bool:
    """True for a bundle that begins with a part of itself: an update added to the rest of a killed one."""
    blocks = bundle.split(BEGIN)[1:]
    if blocks[:1] == [] or blocks[0] not in blocks[1:]:
        return False
    again = blocks.index(blocks[0], 1)  # the block before it may have been cut off
    return 2 * again <= len(blocks) and blocks[: again - 1] == blocks[again : 2 * again - 1]
