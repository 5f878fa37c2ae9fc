"""Certificates that the host trusts beside the distribution's own."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..base import Change, Machine, Resource
from ..fs import read_text, unlink, write_atomically

FOLDER = "/usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


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
        if read_text(self._path) == self.pem and self.pem.strip() in bundle:
            return None
        return Change(f"trust the certificate authority {self.name}")

    def apply(self, machine: Machine) -> None:
        # An existing file may be ours, of a run that was cut short: the claim of that run still holds.
        machine.claim(self, **({} if os.path.exists(self._path) else {"created": True}))
        os.makedirs(FOLDER, exist_ok=True)
        write_atomically(self._path, self.pem, 0o644)
        machine.run(["update-ca-certificates"])
        machine.invalidate("trusted")

    def remove(self, machine: Machine) -> str | None:
        if machine.claims(self).get("created"):
            unlink(self._path)
            if os.path.exists("/usr/sbin/update-ca-certificates"):
                machine.run(["update-ca-certificates", "--fresh"])
        return None
