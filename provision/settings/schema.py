"""The schema of hub.toml: every section and key, its default and its meaning."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator

from .downloads import Downloads
from .section import Section
from .values import (
    Address,
    Box,
    Channel,
    Domain,
    Duration,
    Email,
    HostPort,
    LocalPath,
    MachineDisk,
    MachineMemory,
    PinnedImage,
    Port,
    PortPair,
    PythonVersion,
    Range,
    Retention,
    ServerMemory,
    Sha256,
    SizeLimit,
    Subnet,
    Timeout,
    Variable,
    WebAddress,
    is_address,
)

FIXED_PORTS = {"the proxy's own API": 8001, "the hub behind its proxy": 8081}  # see roles/paths.py
IMAGE_SOURCES = ("reference", "build", "archive")
_LEAST_DISK = 64 * 1024**2


class Hub(Section):
    """The service that visitors reach."""

    domain: Domain = Field("", description="Name or address that visitors use.")
    port: Port = Field(
        443, description="TCP port on the host. With tls.mode behind-proxy the default is 8000, with off 80."
    )
    title: str = Field("JupyterHub", description="The name of the service, on every page of the hub.")
    announcement: str = Field("", description="One line shown on the hub's own pages.")


class Auth(Section):
    """Who may enter."""

    type: Literal["tmp"] = Field("tmp", description="tmp: every visit gets an account of its own.")


class Image(Section):
    """What visitors run. Exactly one of reference, build and archive."""

    reference: PinnedImage | None = Field(None, description="An image in a registry, with its digest.")
    build: LocalPath | None = Field(None, description="A folder with a Dockerfile that takes BASE.")
    archive: LocalPath | None = Field(None, description="A file that `docker save` wrote.")
    build_on: Literal["host", "builder"] = Field(
        "host", description="builder: this machine builds once and sends the image to its hosts."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Image:
        given = [key for key in IMAGE_SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one of {', '.join(IMAGE_SOURCES)}; found {' and '.join(given) or 'none'}"
            )
        return self


class Server(Section):
    """What one visitor's notebook server may use, and how long it lives."""

    memory: ServerMemory = Field(1024**3, description="Hard limit of memory.", validate_default=True)
    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(1.0, description="Hard limit, in cores.")
    pids: Annotated[int, Field(ge=32)] = Field(256, description="Processes and threads at once.")
    disk: SizeLimit = Field(
        10 * 1024**3,
        description="What a server may write; one that has written more is ended. 0: no limit.",
    )
    max_servers: Annotated[int, Field(ge=0)] = Field(
        100, description="Servers at once; whoever comes later waits until one ends. 0: no limit."
    )
    start_timeout: Timeout = Field(60, description="A server that is not ready by then has failed.")
    idle_timeout: Duration = Field(
        3600,
        description="Idle servers end after this, at least 6 minutes, and temporary users go; 0 keeps them.",
    )
    max_age: Duration = Field(
        0, description="Servers end after this even when busy; 0: no limit. Needs idle_timeout."
    )
    environment: dict[Variable, str] = Field({}, description="Variables for every server.")
    secrets: dict[Variable, SecretStr] = Field(
        {}, description="Variables whose values only secrets.toml or the environment may give."
    )

    @model_validator(mode="after")
    def _server_has_room(self) -> Server:
        if 0 < self.disk < _LEAST_DISK:
            raise ValueError('disk should be 0 or at least "64M": a server writes a little by itself')
        return self

    @model_validator(mode="after")
    def _culler_can_tell(self) -> Server:
        # The hub refreshes last_activity every 300 s: a shorter limit would end servers of people at work.
        if 0 < self.idle_timeout < 360:
            raise ValueError(
                'idle_timeout should be 0 or at least "6m": activity is reported every 5 minutes'
            )
        if self.max_age and not self.idle_timeout:
            raise ValueError("max_age needs idle_timeout: the culler ends both")
        return self


class Network(Section):
    """The network that notebook servers and the hub share."""

    subnet: Subnet = Field("172.30.0.0/20", description="IPv4 range, free on the host, at least a /24.")
    blocked: Annotated[tuple[Range, ...], Field(strict=False)] = Field(
        (),
        description="IPv4 ranges beyond the host that notebooks do not reach, but for DNS: a LAN that is no "
        "business of strangers. Mirrors and proxies that notebooks use have to stand outside them. "
        "169.254.0.0/16, where clouds keep their metadata, is always closed.",
    )

    @property
    def gateway(self) -> str:
        """The host's own address on that network; the hub listens there."""
        return str(IPv4Network(self.subnet)[1])


class Monitoring(Section):
    """What is measured, where it is kept, and who may look at it."""

    graphite: bool = Field(
        True, description="StatsD and Graphite on the host, fed with the hub's numbers, and /services/status."
    )
    image: PinnedImage | None = Field(
        None,
        description="An image made from images/graphite, in a registry. Default: built like the notebook's.",
    )
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")] = Field(
        "jupyterhub", description="What the names of the hub's metrics begin with."
    )
    retention: Retention = Field(
        "10s:6h,1m:2d,15m:1y",
        description="How finely and how long Graphite keeps a new metric, finest first.",
    )
    statsd_port: Port = Field(8125, description="UDP on the host's loopback: StatsD.")
    graphite_port: Port = Field(8085, description="TCP on the host's loopback: Graphite's web application.")
    status_port: Port = Field(
        8086, description="TCP on the host's loopback: the status page, behind the proxy."
    )
    public_summary: bool = Field(
        False, description="Every visitor may see how many people are here and how quickly servers start."
    )


class Tls(Section):
    """Encryption between visitors and the hub, and where its certificate comes from."""

    mode: Literal["self-signed", "files", "letsencrypt", "behind-proxy", "off"] = Field(
        "self-signed",
        description="self-signed: made on the host. files: yours. letsencrypt: from an ACME server. "
        "behind-proxy: another web server on the way speaks https. off: plain HTTP.",
    )
    redirect_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        80, description="Port that sends visitors to https; 0: none."
    )
    hsts: Duration = Field(0, description="How long browsers shall insist on https; 0: not. Not self-signed.")
    certificate: LocalPath | None = Field(
        None, description="files: PEM file here, the server's own certificate first, then its chain."
    )
    key: LocalPath | None = Field(None, description="files: PEM file here with its key, without passphrase.")
    email: Email | None = Field(None, description="letsencrypt: where the ACME server writes to.")
    directory: WebAddress = Field(
        "https://acme-v02.api.letsencrypt.org/directory", description="letsencrypt: URL of the ACME server."
    )
    directory_ca: LocalPath | None = Field(
        None, description="letsencrypt: PEM file here that the ACME server's certificate is checked with."
    )
    listen: Address = Field("127.0.0.1", description="behind-proxy: address that the hub listens on.")
    trusted_proxies: Annotated[tuple[Address, ...], Field(strict=False)] = Field(
        ("127.0.0.1", "::1"), description="behind-proxy: addresses that may say who the visitor is."
    )

    @property
    def own_scheme(self) -> str:
        """What the hub itself speaks."""
        return "http" if self.mode in ("behind-proxy", "off") else "https"

    @property
    def scheme(self) -> str:
        """What visitors' browsers speak."""
        return "http" if self.mode == "off" else "https"

    @model_validator(mode="after")
    def _keys_of_the_mode(self) -> Tls:
        for mode, keys in _TLS_KEYS.items():
            given = sorted(self.model_fields_set & set(keys))
            if given and mode != self.mode:
                raise ValueError(f'{given[0]} belongs to mode = "{mode}"; the mode is "{self.mode}"')
        for key in _TLS_REQUIRED.get(self.mode, ()):
            if getattr(self, key) is None:
                raise ValueError(f'mode = "{self.mode}" needs {key}')
        if self.mode == "letsencrypt" and self.redirect_port == 0:
            raise ValueError("redirect_port should not be 0: the ACME server comes back on port 80")
        if self.hsts and self.mode in ("self-signed", "off"):
            raise ValueError(f'hsts should be 0 with mode = "{self.mode}": visitors could not come any more')
        return self


_TLS_KEYS = {
    "files": ("certificate", "key"),
    "letsencrypt": ("email", "directory", "directory_ca"),
    "behind-proxy": ("listen", "trusted_proxies"),
}
_TLS_REQUIRED = {"files": ("certificate", "key"), "letsencrypt": ("email",)}
_PORTS = {"behind-proxy": 8000, "off": 80}  # the hub's own by tls.mode, unless hub.port says another


class Python(Section):
    """Where the hub's interpreter and Node come from."""

    provider: Literal["miniconda", "system"] = Field(
        "miniconda",
        description="miniconda: conda's packages, on every distribution the same. "
        "system: the distribution's python3, and Node from PyPI.",
    )
    distribution: Literal["miniconda", "miniforge"] = Field(
        "miniconda", description="Whose installer brings conda; its version is pinned."
    )
    installer: WebAddress | None = Field(None, description="URL of another installer, or of a mirror's copy.")
    sha256: Sha256 | None = Field(None, description="The published checksum of that installer.")
    channels: Annotated[tuple[Channel, ...], Field(strict=False, min_length=1)] = Field(
        ("conda-forge",), description="Where packages come from, by name or URL; no other is asked."
    )
    version: PythonVersion = Field(
        "3.13", description="The interpreter's version: two numbers for the newest of them, or three."
    )
    node: Annotated[int, Field(ge=20)] = Field(24, description="Node's major version.")

    @model_validator(mode="after")
    def _installer_is_pinned(self) -> Python:
        if self.installer and not self.sha256:
            raise ValueError("installer needs sha256 beside it: nothing unchecked runs on a host")
        if self.sha256 and not self.installer:
            raise ValueError("sha256 belongs to an installer of your own; that of the default is known")
        return self


class Builder(Section):
    """This machine, as far as images are made on it. Written to site.toml by `hubwright init`."""

    base: Literal["registry", "archive"] = Field(
        "registry", description="archive: no registry answers; base images come from `apt`."
    )
    image: PinnedImage = Field(
        "ubuntu:24.04@sha256:a08e551cb33850e4740772b38217fc1796a66da2506d312abe51acda354ff061",
        description="The base image where a registry answers.",
    )
    apt: str = Field("", description="The archive that base = 'archive' is made from.")
    suite: str = Field("", description="Its suite, for example bookworm.")
    components: str = Field("main", description="Its components, for example main universe.")
    security: str = Field("", description="The archive of <suite>-security, when it has one.")
    keyring: str = Field(
        "",
        description="The keys that sign it, where apt on this machine does not trust them: a file that "
        "everybody may read.",
    )

    @property
    def is_ubuntu(self) -> bool:
        """Of the two families only Ubuntu's archive has that component, and a hub's packages are in it."""
        return "universe" in self.components.split()

    @property
    def content(self) -> Builder:
        """What decides about the images that are made; keys decide only whether they are."""
        return self.model_copy(update={"keyring": ""})


class Vm(Section):
    """The machine that `hubwright up` and `vagrant up` raise."""

    provider: Literal["docker", "libvirt", "virtualbox"] = Field("docker", description="Vagrant's.")
    accelerator: Literal["kvm", "emulation"] = Field(
        "kvm", description="For libvirt. emulation: QEMU alone, many times slower, where KVM runs no guest."
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")] = Field(
        "hubwright", description="Name of the machine, unique on this computer."
    )
    box: Box = Field(
        "cloud-image/ubuntu-24.04",
        description="For libvirt and virtualbox: a name in Vagrant's catalogue, or a .box file here. "
        "archive: made here, from the archive that [builder] names; for libvirt. "
        "For docker: a .tar that `hubwright bake` wrote.",
    )
    cpus: Annotated[int, Field(ge=1)] = Field(2, description="For libvirt and virtualbox.")
    memory: MachineMemory = Field(4 * 1024**3, description="For libvirt and virtualbox.")
    disk: MachineDisk = Field(
        20 * 1024**3, description="For libvirt and virtualbox; a box may bring a larger one."
    )
    boot_timeout: Timeout = Field(300, description="How long a starting machine may take to answer SSH.")
    port: Port = Field(8000, description="Port on 127.0.0.1 of this computer that leads to the hub.")
    forward: Annotated[tuple[PortPair, ...], Field(strict=False)] = Field(
        (), description='More ports, as "port here:port in the machine"; on 127.0.0.1 too.'
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Vm:
        here = [self.port, *(here for here, _ in self.forwards)]
        if len(here) != len(set(here)):
            raise ValueError("forward: every port of this computer leads to one port of the machine")
        return self

    @property
    def forwards(self) -> tuple[tuple[int, int], ...]:
        """`forward` as numbers: port here, port in the machine."""
        pairs = (pair.split(":") for pair in self.forward)
        return tuple((int(here), int(there)) for here, there in pairs)


class Deploy(Section):
    """How runs behave."""

    apt_lock_wait: Duration = Field(300, description="How long to wait for another apt to end.")
    statsd: HostPort | None = Field(None, description="host:port of a StatsD that receives timings of runs.")


class Settings(Section):
    """All of hub.toml. `root` is the folder that `file` stands in; relative paths start there."""

    root: Annotated[Path, Field(exclude=True)]
    file: Annotated[str, Field(exclude=True)] = "hub.toml"
    hub: Hub = Hub()
    auth: Auth = Auth()
    image: Image
    server: Server = Server()
    network: Network = Network()
    tls: Tls = Tls()
    monitoring: Monitoring = Monitoring()
    python: Python = Python()
    downloads: Downloads = Downloads()
    builder: Builder = Builder()
    vm: Vm = Vm()
    deploy: Deploy = Deploy()

    @model_validator(mode="before")
    @classmethod
    def _port_of_the_mode(cls, tables: Any) -> Any:
        hub, tls = tables.get("hub", {}), tables.get("tls", {})
        if isinstance(hub, dict) and isinstance(tls, dict) and "port" not in hub:
            mode = tls.get("mode")
            port = _PORTS.get(mode) if isinstance(mode, str) else None
            return {**tables, "hub": {**hub, "port": port}} if port else tables
        return tables

    @model_validator(mode="after")
    def _front_door(self) -> Settings:
        mode, domain = self.tls.mode, self.hub.domain
        if mode in ("files", "letsencrypt") and not domain:
            raise ValueError(f'hub.domain is missing: tls.mode = "{mode}" needs the name that visitors use')
        if mode == "letsencrypt" and (is_address(domain) or "." not in domain):
            raise ValueError(f'hub.domain should be a public name for tls.mode = "{mode}", not "{domain}"')
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        """All that a hub listens on with TCP."""
        taken = {"hub.port": self.hub.port, "tls.redirect_port": self.redirect_port, **FIXED_PORTS}
        if self.monitoring.graphite:
            taken["monitoring.graphite_port"] = self.monitoring.graphite_port
            taken["monitoring.status_port"] = self.monitoring.status_port
        for (one, port), (other, same) in combinations(taken.items(), 2):
            if port and port == same:
                raise ValueError(f"{one} and {other} should differ; both are {port}")
        return self

    @property
    def redirect_port(self) -> int:
        """The port that sends visitors to https, or 0 where there is none."""
        return self.tls.redirect_port if self.tls.own_scheme == "https" else 0

    @property
    def public_ports(self) -> tuple[int, ...]:
        """The host's TCP ports in visitors' URLs. Another web server in front has its usual ones."""
        if self.tls.mode == "behind-proxy":
            return (80, 443)
        return tuple(port for port in (self.hub.port, self.redirect_port) if port)

    @property
    def own_door(self) -> str:
        """Where the host itself finds the hub: scheme, address and port."""
        host = self.tls.listen if self.tls.mode == "behind-proxy" else "127.0.0.1"
        return f"{self.tls.own_scheme}://{f'[{host}]' if ':' in host else host}:{self.hub.port}"

    def path(self, relative: Path) -> Path:
        """A path of the settings as an absolute one."""
        return relative if relative.is_absolute() else self.root / relative

    @property
    def state(self) -> Path:
        """The folder of what this machine remembers between runs; never committed."""
        return self.root / ".hubwright"
