"""Everything the roles are made from, read once. After this no role opens a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provision.agent.resources import DockerImage, File
from provision.errors import SettingsError
from provision.settings import Settings
from roles import paths

PROJECT = Path(__file__).parent.parent
LOCKS = PROJECT / "roles" / "locks"


@dataclass(frozen=True)
class ImageSource:
    """Where the host takes an image from: see resources.DockerImage. `digest` names its content."""

    digest: str
    reference: str = ""
    archive: str = ""
    context: str = ""
    arguments: tuple[tuple[str, str], ...] = ()

    def resource(self, name: str) -> DockerImage:
        """The image as `hubwright/<name>`."""
        return DockerImage(
            f"hubwright/{name}:{self.digest[:16]}",
            reference=self.reference,
            archive=self.archive,
            context=self.context,
            arguments=dict(self.arguments),
        )


@dataclass(frozen=True)
class Inputs:
    settings: Settings
    images: Mapping[str, ImageSource]
    """By the names of their roles: notebook, and graphite where it is wanted."""
    certificates: Mapping[str, str]
    """Name → PEM."""
    files: Mapping[str, str]
    """Path in the project → text."""

    @classmethod
    def read(cls, settings: Settings, images: Mapping[str, ImageSource]) -> Inputs:
        """Raises SettingsError when a certificate that the settings name is not one."""
        return cls(settings, images, _certificates(settings), _files())

    def code(self, *names: str) -> list[File]:
        """Programs of services/, in their place on the host."""
        return [File(f"{paths.SERVICES}/{name}", self.files[f"services/{name}"]) for name in names]

    def pages(self, *names: str) -> list[File]:
        """Templates and pictures of services/templates/, in their place on the host."""
        return [File(f"{paths.TEMPLATES}/{name}", self.files[f"services/templates/{name}"]) for name in names]


def _certificates(settings: Settings) -> dict[str, str]:
    found = {}
    for relative in settings.mirrors.ca_certificates:
        path = settings.path(relative)
        try:
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"cannot be read: {error}", where=f"mirrors.ca_certificates: {path}"
            ) from None
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise SettingsError("holds no PEM certificate", where=f"mirrors.ca_certificates: {path}")
        name = re.sub(r"[^a-z0-9-]+", "-", path.stem.lower()).strip("-")
        found[f"hubwright-{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"] = text
    return found


def _files() -> dict[str, str]:
    paths = [
        PROJECT / "jupyterhub_config.py",
        *sorted((PROJECT / "services").glob("*.py")),
        *sorted((PROJECT / "services" / "templates").glob("*.*")),
        *(LOCKS / name for name in ("hub.txt", "uv.txt", "package.json", "package-lock.json")),
    ]
    return {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
