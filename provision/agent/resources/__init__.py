"""The kinds of things that can be made true on a machine, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import Change, CommandFailed, Machine, Problem, Resource, from_fields
from .certificates import TrustedCertificate
from .conda import CondaPrefix, CondaPython
from .docker import DockerImage, DockerNetwork, DockerVolume
from .files import Directory, File, GeneratedSecret
from .json_keys import JsonKeys
from .kept_certificate import KeptCertificate
from .names import ResolvableName
from .packages import AptPackages
from .ports import FreePort
from .python_env import PythonEnv
from .sources import AptSources
from .systemd import Service
from .timers import Timer
from .users import User

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
        File,
        FreePort,
        GeneratedSecret,
        JsonKeys,
        KeptCertificate,
        PythonEnv,
        ResolvableName,
        Service,
        Timer,
        TrustedCertificate,
        User,
    )
}


def from_json(data: Mapping[str, Any]) -> Resource:
    """The resource that `Resource.to_json` described. KeyError for a kind that this version lacks."""
    return from_fields(KINDS[data["kind"]], data)


__all__ = [
    "KINDS",
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
    "File",
    "FreePort",
    "GeneratedSecret",
    "JsonKeys",
    "KeptCertificate",
    "Machine",
    "Problem",
    "PythonEnv",
    "ResolvableName",
    "Resource",
    "Service",
    "Timer",
    "TrustedCertificate",
    "User",
    "from_json",
]
