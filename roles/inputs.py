"""Everything the roles are made from, read once. After this no role opens a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provision.agent.resources import DockerImage, File
from provision.errors import SettingsError
from provision.settings import Settings
from roles import certificate_files, paths

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
        """The image under its name on hosts."""
        return DockerImage(
            f"{paths.IMAGES}/{name}:{self.digest[:16]}",
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
    certificate: str = field(default="", repr=False)
    """The hub's own, where the settings name files of it: key, certificate and chain."""
    acme_ca: str = ""
    """What the ACME server's own certificate is checked with, unless the system's store does."""

    @classmethod
    def read(cls, settings: Settings, images: Mapping[str, ImageSource]) -> Inputs:
        """Raises SettingsError when a certificate that the settings name is not one, or would fail."""
        return cls(
            settings,
            images,
            certificates(settings),
            _files(),
            certificate_files.read(settings),
            _acme_ca(settings),
        )

    def code(self, *names: str) -> list[File]:
        """Programs of services/, in their place on the host."""
        return [File(f"{paths.SERVICES}/{name}", self.files[f"services/{name}"]) for name in names]

    def pages(self, *names: str) -> list[File]:
        """Templates and pictures of services/templates/, in their place on the host."""
        return [File(f"{paths.TEMPLATES}/{name}", self.files[f"services/templates/{name}"]) for name in names]


def certificates(settings: Settings) -> dict[str, str]:
    """Further authorities that hosts trust: name, without `.crt`, → PEM."""
    found = {}
    for relative in settings.mirrors.ca_certificates:
        text = _pem(settings, relative, "mirrors.ca_certificates")
        name = re.sub(r"[^a-z0-9-]+", "-", relative.stem.lower()).strip("-")
        found[f"hubwright-{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"] = text
    return found


def _acme_ca(settings: Settings) -> str:
    relative = settings.tls.directory_ca
    return _pem(settings, relative, "tls.directory_ca") if relative else ""


def _pem(settings: Settings, relative: Path, key: str) -> str:
    path = settings.path(relative)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"cannot be read: {error.strerror}",
            where=f"{key}: {path}",
            hint="a relative path starts at hub.toml's folder",
        ) from None
    text = content.decode("ascii", errors="replace").replace(
        "\ufffd", "?"
    )  # only comments have other letters
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise SettingsError(
            "holds no PEM certificate",
            where=f"{key}: {path}",
            hint="it should have a line BEGIN CERTIFICATE; `openssl x509 -inform der -in …` makes it of DER",
        )
    return text


def _files() -> dict[str, str]:
    paths = [
        PROJECT / "jupyterhub_config.py",
        *sorted((PROJECT / "services").glob("*.py")),
        *sorted((PROJECT / "services" / "front_door").glob("*.py")),
        *sorted((PROJECT / "services" / "front_door").glob("*.mjs")),
        *sorted((PROJECT / "services" / "templates").glob("*.*")),
        *(LOCKS / name for name in ("hub.txt", "node.txt", "uv.txt", "package.json", "package-lock.json")),
    ]
    return {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
