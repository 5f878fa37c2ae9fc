"""The certificates, packages and folders that all other roles need."""

from __future__ import annotations

from provision.agent.resources import AptPackages, Directory, Resource
from roles.role import Role
from roles.shared import mirrors, paths
from roles.shared.inputs import Inputs


def steps(inputs: Inputs) -> list[Resource]:
    trust = [AptPackages("base", ("ca-certificates",)), *mirrors.certificates(inputs)]
    # A host can use an https mirror only once it trusts the mirror's certificate.
    plain = all(uri.startswith("http:") for uri in inputs.settings.downloads.apt.values())
    return [
        *mirrors.apt(inputs),
        *([*mirrors.sources(inputs), *trust] if plain else [*trust, *mirrors.sources(inputs)]),
        Directory(paths.SOFTWARE),
        Directory(paths.CONFIG),
        Directory(paths.SERVICES, purge=True),
        Directory(paths.SYSTEM, purge=True),
        Directory(paths.TEMPLATES),
        *inputs.pages("hub", "logo.svg"),  # on the hub's pages and on the status page
        *mirrors.unit_environment(inputs),
    ]


ROLE = Role(
    "base",
    "certificates and packages that everything else needs",
    steps,
    secrets=(paths.DOWNLOADS, mirrors.APT_CREDENTIALS),
)
