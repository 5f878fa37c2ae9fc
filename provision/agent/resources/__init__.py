"""The kinds of resources, each in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .accounts.user import User
from .apt.packages import AptPackages
from .apt.sources import AptSources
from .base import Abandoned, Change, CommandFailed, Machine, Problem, Resource, from_fields
from .certificates.kept import KeptCertificate
from .certificates.trusted import TrustedCertificate
from .docker import (
    DockerImage,
    DockerNetwork,
    DockerVolume,
    EngineService,
    EngineSettings,
    ServableImage,
    UsableEngine,
)
from .files.file import Directory, File, GeneratedSecret
from .files.json_keys import JsonKeys
from .network.firewalls import KeptOpen
from .network.names import ResolvableName
from .network.ports import FreePort
from .network.reach import ReachableFromContainer
from .python.conda import CondaPrefix, CondaPython
from .python.environment import PythonEnv
from .systemd.service import Service
from .systemd.timer import Timer

KINDS: dict[str, type[Resource]] = {
    kind.__name__: kind
    for kind in (
        AptPackages,
        AptSources,
        CondaPrefix,
        CondaPython,
        Directory,
        DockerImage,
        DockerNetwork,
        DockerVolume,
        EngineService,
        EngineSettings,
        File,
        FreePort,
        GeneratedSecret,
        JsonKeys,
        KeptCertificate,
        KeptOpen,
        PythonEnv,
        ReachableFromContainer,
        ResolvableName,
        ServableImage,
        Service,
        Timer,
        TrustedCertificate,
        UsableEngine,
        User,
    )
}


def from_json(data: Mapping[str, Any]) -> Resource:
    """The resource that `Resource.to_json` described. KeyError for a kind that this version lacks."""
    return from_fields(KINDS[data["kind"]], data)


__all__ = [
    "KINDS",
    "Abandoned",
    "AptPackages",
    "AptSources",
    "Change",
    "CommandFailed",
    "CondaPrefix",
    "CondaPython",
    "Directory",
    "DockerImage",
    "DockerNetwork",
    "DockerVolume",
    "EngineService",
    "EngineSettings",
    "File",
    "FreePort",
    "GeneratedSecret",
    "JsonKeys",
    "KeptCertificate",
    "KeptOpen",
    "Machine",
    "Problem",
    "PythonEnv",
    "ReachableFromContainer",
    "ResolvableName",
    "Resource",
    "ServableImage",
    "Service",
    "Timer",
    "TrustedCertificate",
    "UsableEngine",
    "User",
    "from_json",
]
