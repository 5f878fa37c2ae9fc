"""What everything else needs."""

from __future__ import annotations

from provision.agent.resources import AptPackages, Directory, Resource, TrustedCertificate
from roles import paths
from roles.inputs import Inputs


def steps(i: Inputs) -> list[Resource]:
    return [
        AptPackages("base", ("ca-certificates",)),
        *(TrustedCertificate(name, pem) for name, pem in sorted(i.certificates.items())),
        Directory(paths.SOFTWARE),
        Directory(paths.CONFIG),
    ]
