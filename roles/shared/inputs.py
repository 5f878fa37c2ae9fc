"""Everything the roles are made from, read once. After this no role opens a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from provision.agent.resources import DockerImage, File
from provision.settings import Settings
from provision.settings.download_environment import certificates, read_pem
from provision.settings.image_names import IMAGES
from provision.tools.project import PROJECT
from roles.shared import extensions, paths
from roles.shared.facets import Caller, Page

LOCKS = PROJECT / "roles" / "locks"


@dataclass(frozen=True)
class ImageSource:
    """The source that the host takes an image from, see resources.DockerImage. `digest` names its content."""

    digest: str
    reference: str = ""
    archive: str = ""
    context: str = ""
    arguments: tuple[tuple[str, str], ...] = ()

    def resource(self, name: str) -> DockerImage:
        """The image under its name on hosts."""
        return DockerImage(
            f"{IMAGES}/{name}:{self.digest[:16]}",
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
    callers: tuple[Caller, ...] = ()
    """The services that call the hub's API."""
    services: tuple[Page, ...] = ()
    """The services that visitors reach through the proxy."""
    hub_config: Mapping[str, str] = field(default_factory=dict)
    """The operator's own files of JupyterHub configuration: name → text, in their order."""
    packages: str = ""
    """The operator's own requirements for the hub's environment."""
    acme_ca: str = ""
    """The CA certificate of the ACME server itself, where the system does not trust it already."""

    @classmethod
    def read(
        cls,
        settings: Settings,
        images: Mapping[str, ImageSource],
        *,
        callers: tuple[Caller, ...],
        services: tuple[Page, ...],
    ) -> Inputs:
        """Read every file that the settings name. Raises SettingsError for one that is of no use."""
        files = _files()
        return cls(
            settings,
            images,
            certificates(settings),
            files,
            _certificate(settings),
            callers,
            services,
            extensions.read_hub_config(settings),
            extensions.read_packages(settings, files["roles/locks/hub.txt"]),
            _acme_ca(settings),
        )

    def code(self, *names: str) -> list[File]:
        """Programs, named by their path in services/, in their place on the host."""
        return [File(_place(name), self.files[f"services/{name}"]) for name in names]

    def pages(self, service: str, *names: str) -> list[File]:
        """Templates and pictures of services/<service>/pages/, in their place on the host."""
        folder = f"services/{service}/pages"
        return [File(f"{paths.TEMPLATES}/{name}", self.files[f"{folder}/{name}"]) for name in names]


def _place(program: str) -> str:
    """The program's path on the host. Programs of one interpreter share a folder, to find their modules."""
    runner, _, name = program.rpartition("/")
    folder = {"system": paths.SYSTEM, "proxy": paths.PROXY}.get(runner, paths.SERVICES)
    return f"{folder}/{name}"


def _certificate(settings: Settings) -> str:
    if settings.tls.mode != "files":
        return ""
    from roles.shared import certificate_files  # its X.509 library takes longer to load than all else here

    return certificate_files.read(settings)


def _acme_ca(settings: Settings) -> str:
    relative = settings.tls.directory_ca
    return read_pem(settings, relative, "tls.directory_ca") if relative else ""


@cache
def _files() -> Mapping[str, str]:
    """Texts of the project's own files, which do not change while this program runs."""
    paths = [
        PROJECT / "jupyterhub_config.py",
        *sorted((PROJECT / "services").glob("*/*.py")),
        *sorted((PROJECT / "services").glob("*/*.mjs")),
        *sorted((PROJECT / "services").glob("*/pages/*.*")),
        *(LOCKS / name for name in ("hub.txt", "node.txt", "uv.txt", "package.json", "package-lock.json")),
    ]
    return MappingProxyType(
        {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    )
