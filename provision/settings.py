"""The schema of hub.toml, and the only place that reads it.

Layers, the later one over the earlier: `hub.toml`, `site.toml` and `secrets.toml` beside it, then
environment variables `HUBWRIGHT__SECTION__KEY` for keys that are marked as secret.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_address
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from provision.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENVIRONMENT_PREFIX = "HUBWRIGHT__"
IMAGE_SOURCES = ("reference", "build", "archive")
_NOT_OF_FILES = {"root", "file"}  # what `load` itself adds to the settings

_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$", re.IGNORECASE)
_DURATION = re.compile(r"^(\d+)\s*([smhd]?)$")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"^{_LABEL}(\.{_LABEL})*$")
_HOST_PORT = re.compile(r"^[A-Za-z0-9.-]+:\d{1,5}$")


def parse_size(value: object) -> int:
    """Bytes from `1073741824`, `"512M"` or `"1.5 GiB"` (units are powers of 1024)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('should be a size such as "512M" or "2G"')
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def parse_duration(value: object) -> int:
    """Seconds from `3600`, `"90s"`, `"30m"`, `"1h"` or `"2d"`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _DURATION.match(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('should be a time such as "90s", "30m", "1h" or "2d"')
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _pinned(value: str) -> str:
    if not re.search(r"@sha256:[0-9a-f]{64}$", value):
        raise ValueError("should end in @sha256:<64 hex digits>, so that every host runs the same image")
    return value


def _host_port(value: str) -> str:
    if not _HOST_PORT.match(value) or not 0 < int(value.rpartition(":")[2]) < 65536:
        raise ValueError('should be "host:port"')
    return value


def _without_password(value: str) -> str:
    if re.match(r"^[a-z]+://[^/]*@", value):
        raise ValueError("should carry no user and no password: the address appears in build logs")
    return value


def _domain(value: str) -> str:
    if value and not (_DOMAIN.match(value) or _is_address(value)):
        raise ValueError(
            'should be a name such as "hub.example.org" or an address, without http:// or a port'
        )
    return value


def _address(value: str) -> str:
    if not _is_address(value):
        raise ValueError('should be an IP address such as "127.0.0.1"')
    return str(ip_address(value))


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", value):
        raise ValueError("should be a URL that begins with https:// or http://")
    return _without_password(value)


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value.lower()):
        raise ValueError("should be 64 hex digits")
    return value.lower()


def _python_version(value: str) -> str:
    if not re.fullmatch(r"3\.1[0-9](\.[0-9]+)?", value):
        raise ValueError('should be a version from 3.10 on, such as "3.13" or "3.13.5"')
    return value


def _channel(value: str) -> str:
    if "://" in value:
        return _web_address(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", value):
        raise ValueError('should be a channel\'s name such as "conda-forge", or its URL')
    return value


_SPAN = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_ARCHIVE = re.compile(r"^(\d+)(s|min|m|h|d|w|y):(\d+)(s|min|m|h|d|w|y)$")
FLUSH = 10  # seconds: what StatsD passes on, and so the finest that Graphite can keep


def _retention(value: str) -> str:
    """Graphite's own form and whisper's rules: each step divides the next one, each span is longer."""
    archives = []
    for part in value.split(","):
        match = _ARCHIVE.match(part.strip())
        if match is None:
            raise ValueError('should be pairs of step and span such as "10s:6h,1m:8d,15m:1y"')
        archives.append((int(match[1]) * _SPAN[match[2]], int(match[3]) * _SPAN[match[4]]))
    if archives[0][0] != FLUSH:
        raise ValueError(f"should begin with steps of {FLUSH}s, which is how often StatsD passes numbers on")
    for (step, span), (next_step, next_span) in pairwise(archives):
        if next_step <= step or next_step % step or next_span <= span or span < next_step:
            raise ValueError("every pair should have a step that the one before divides, and a longer span")
    return value


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Duration = Annotated[int, BeforeValidator(parse_duration), Field(ge=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
Domain = Annotated[str, AfterValidator(_domain)]
Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_without_password)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
PinnedImage = Annotated[str, AfterValidator(_pinned)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
Channel = Annotated[str, AfterValidator(_channel)]
LocalPath = Annotated[Path, Field(strict=False)]  # TOML has no type of its own for a path


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


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

    memory: Size = Field(1024**3, description="Hard limit of memory.", validate_default=True)
    cpu: Annotated[float, Field(gt=0)] = Field(1.0, description="Hard limit, in cores.")
    pids: Annotated[int, Field(ge=32)] = Field(256, description="Processes and threads at once.")
    start_timeout: Duration = Field(60, description="A server that is not ready by then has failed.")
    idle_timeout: Duration = Field(
        3600, description="Idle servers end after this, and temporary users go; 0 keeps them."
    )
    max_age: Duration = Field(0, description="Servers end after this even when busy; 0: no limit.")
    environment: dict[str, str] = Field({}, description="Variables for every server.")
    secrets: dict[str, SecretStr] = Field(
        {}, description="Variables whose values only secrets.toml or the environment may give."
    )

    @model_validator(mode="after")
    def _culler_can_tell(self) -> Server:
        # The hub refreshes last_activity every 300 s: a shorter limit would end servers of people at work.
        if 0 < self.idle_timeout < 360:
            raise ValueError(
                'idle_timeout should be 0 or at least "6m": activity is reported every 5 minutes'
            )
        return self


class Network(Section):
    """The network that notebook servers and the hub share."""

    subnet: str = Field("172.30.0.0/20", description="IPv4 range, free on the host, at least a /24.")

    @model_validator(mode="after")
    def _large_enough(self) -> Network:
        try:
            network = IPv4Network(self.subnet)
        except ValueError as error:
            raise ValueError(f"subnet: {error}") from None
        if network.prefixlen > 24:
            raise ValueError("subnet should be a /24 or larger: every running server takes an address")
        return self

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
    retention: Annotated[str, AfterValidator(_retention)] = Field(
        "10s:6h,1m:8d,15m:1y",
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

    @model_validator(mode="after")
    def _ports_differ(self) -> Monitoring:
        if self.graphite_port == self.status_port:
            raise ValueError("graphite_port and status_port should differ")
        return self


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
    email: str | None = Field(None, description="letsencrypt: where the ACME server writes to.")
    directory: str = Field(
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
    version: Annotated[str, AfterValidator(_python_version)] = Field(
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


class Mirrors(Section):
    """How packages are reached from the hosts and while images are built."""

    pypi: Url | None = Field(None, description="Index URL in place of PyPI's own.")
    npm: Url | None = Field(None, description="Registry URL in place of npm's own.")
    ca_certificates: Annotated[tuple[LocalPath, ...], Field(strict=False)] = Field(
        (), description="PEM files that hosts and images must trust."
    )


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


class Vm(Section):
    """The machine that `hubwright up` and `vagrant up` raise."""

    provider: Literal["docker", "libvirt", "virtualbox"] = Field("docker", description="Vagrant's.")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")] = Field(
        "hubwright", description="Name of the machine, unique on this computer."
    )
    box: str = Field("cloud-image/ubuntu-24.04", description="For libvirt and virtualbox.")
    cpus: Annotated[int, Field(ge=1)] = Field(2, description="For libvirt and virtualbox.")
    memory: Size = Field(4 * 1024**3, description="For libvirt and virtualbox.")
    port: Port = Field(8000, description="Port on 127.0.0.1 of this computer that leads to the hub.")


class Deploy(Section):
    """How runs behave."""

    apt_lock_wait: Duration = Field(300, description="How long to wait for another apt to end.")
    statsd: Annotated[str, AfterValidator(_host_port)] | None = Field(
        None, description="host:port of a StatsD that receives timings of runs."
    )


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
    mirrors: Mirrors = Mirrors()
    builder: Builder = Builder()
    vm: Vm = Vm()
    deploy: Deploy = Deploy()

    @model_validator(mode="before")
    @classmethod
    def _port_of_the_mode(cls, tables: Any) -> Any:
        hub, tls = tables.get("hub", {}), tables.get("tls", {})
        if isinstance(hub, dict) and isinstance(tls, dict) and "port" not in hub:
            port = _PORTS.get(tls.get("mode"))  # type: ignore[arg-type]
            return {**tables, "hub": {**hub, "port": port}} if port else tables
        return tables

    @model_validator(mode="after")
    def _front_door(self) -> Settings:
        mode, domain = self.tls.mode, self.hub.domain
        if mode in ("files", "letsencrypt") and not domain:
            raise ValueError(f'hub.domain is missing: tls.mode = "{mode}" needs the name that visitors use')
        if mode == "letsencrypt" and (_is_address(domain) or "." not in domain):
            raise ValueError(f'hub.domain should be a public name for tls.mode = "{mode}", not "{domain}"')
        if self.redirect_port == self.hub.port:
            raise ValueError(f"hub.port and tls.redirect_port should differ; both are {self.hub.port}")
        return self

    @property
    def redirect_port(self) -> int:
        """The port that sends visitors to https, or 0 where there is none."""
        return self.tls.redirect_port if self.tls.own_scheme == "https" else 0

    def path(self, relative: Path) -> Path:
        """A path of the settings as an absolute one."""
        return relative if relative.is_absolute() else self.root / relative

    @property
    def state(self) -> Path:
        """The folder of what this machine remembers between runs; never committed."""
        return self.root / ".hubwright"


def load(path: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read `path` (a hub.toml) and what lies over it. Raises SettingsError with file and key."""
    environ = os.environ if environ is None else environ
    path = path.absolute()
    if not path.exists():
        raise SettingsError(
            "not found",
            where=str(path),
            hint="run in the folder of a hub.toml, or name one with --config",
        )
    secrets = path.with_name("secrets.toml")
    layers = {str(path): read_toml(path)}
    for extra in (path.with_name("site.toml"), secrets):
        if extra.exists():
            layers[str(extra)] = read_toml(extra)
    _refuse_open_secrets(secrets, layers)
    layers["the environment"] = _from_environment(environ)

    merged: dict[str, Any] = {}
    for name, layer in layers.items():
        for key in _NOT_OF_FILES & set(layer):
            raise SettingsError(
                f"unknown key; known here: {', '.join(_keys_beside((key,)))}",
                where=f"{name}: {key}",
                hint="`hubwright config explain` lists the keys; nothing was changed",
            )
        merged = _merge(merged, layer)
    try:
        return Settings.model_validate({**merged, "root": path.parent, "file": path.name})
    except ValidationError as error:
        raise _explain(error, layers) from None


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; SettingsError names line and column of a syntax error."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=str(path)) from None
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        lines = text.splitlines() or [""]
        end = f"line {len(lines)}, column {len(lines[-1]) + 1}"
        what = str(error).replace("at end of document", f"at {end}")
        raise SettingsError(
            f"not valid TOML: {what}", where=str(path), hint="mend the file at that place"
        ) from None
    return tables


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as plain data, every secret masked: safe to print."""
    return settings.model_dump(mode="json", exclude_none=True)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    """`above` over `below`, table by table. A source of the image replaces the other sources."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value, f"{table}.{key}")
        merged[key] = value
    given = set(IMAGE_SOURCES) & set(above)
    if given and table == ".image":
        for key in set(IMAGE_SOURCES) - given:
            merged.pop(key, None)
    return merged


def _secret_paths(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _secret_paths(kind, (*prefix, name))
        elif kind is SecretStr or SecretStr in get_args(kind):
            yield (*prefix, name)


SECRET_PATHS = tuple(_secret_paths(Settings))


def _refuse_open_secrets(secrets: Path, layers: Mapping[str, Mapping[str, Any]]) -> None:
    if secrets.exists() and stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        raise SettingsError(
            "others on this machine may read it", where=str(secrets), hint=f"chmod 600 {secrets}"
        )
    for name, layer in layers.items():
        for path in SECRET_PATHS:
            if name != str(secrets) and _find(layer, path) is not None:
                raise SettingsError(
                    "is a secret and may not stand in this file",
                    where=f"{name}: {'.'.join(path)}",
                    hint=f"move it to {secrets} (mode 600) or to a variable "
                    f"{ENVIRONMENT_PREFIX}{'__'.join(path).upper()}__<NAME>",
                )


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Secrets given as `HUBWRIGHT__SERVER__SECRETS__API_KEY=…`: the last part keeps its case."""
    found: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        *path, last = variable.removeprefix(ENVIRONMENT_PREFIX).split("__")
        keys = tuple(part.lower() for part in path)
        if keys not in SECRET_PATHS:
            known = ", ".join(
                f"{ENVIRONMENT_PREFIX}{'__'.join(path).upper()}__<NAME>" for path in SECRET_PATHS
            )
            raise SettingsError(
                f"{variable} names no secret of the settings",
                where="the environment",
                hint=f"known: {known}; everything else stands in hub.toml",
            )
        table = found
        for key in keys:
            table = table.setdefault(key, {})
        table[last] = value
    return found


def _find(tree: Mapping[str, Any], path: tuple[Any, ...]) -> Any:
    value: Any = tree
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def _explain(error: ValidationError, layers: Mapping[str, Mapping[str, Any]]) -> SettingsError:
    """Every mistake on a line of its own: the file, the key's path, what would be right."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        path = tuple(part for part in item["loc"] if isinstance(part, str))
        place = ": ".join(filter(None, (_origin(path, layers), ".".join(path))))
        lines.append(f"{place}: {_reason(item['type'], item['msg'], path)}")
    return SettingsError(
        "\n".join(lines), hint="`hubwright config explain` lists the keys; nothing was changed"
    )


def _origin(path: tuple[str, ...], layers: Mapping[str, Mapping[str, Any]]) -> str:
    """The uppermost layer that gave the key, or hub.toml where none did."""
    for name in reversed(list(layers)):
        if path and _find(layers[name], path) is not None:
            return name
    return next(iter(layers))


def _reason(kind: str, message: str, path: tuple[str, ...]) -> str:
    if kind == "extra_forbidden":
        known = _keys_beside(path)
        near = difflib.get_close_matches(path[-1], known, n=1)
        return (
            f"unknown key, did you mean '{near[0]}'?"
            if near
            else f"unknown key; known here: {', '.join(known)}"
        )
    if kind == "missing":
        return "is missing"
    return _PLAIN_WORDS.get(kind) or str(message).removeprefix("Value error, ").removeprefix("Input ")


_PLAIN_WORDS = {
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text in quotes",
    "bool_type": "should be true or false",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "tuple_type": "should be a list",
}


def _keys_beside(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for key in path[:-1]:
        kind = model.model_fields[key].annotation
        assert isinstance(kind, type)
        model = kind
    return [name for name in model.model_fields if name not in _NOT_OF_FILES]


def explain(section: str | None = None) -> str:
    """Every key of one section, or of all, with its default and its meaning."""
    models = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }
    if section is not None and section not in models:
        raise SettingsError(f"no section [{section}]", hint=f"the sections are {', '.join(models)}")
    blocks = []
    for name, model in models.items():
        if section in (None, name):
            keys = [_key_line(key, field) for key, field in model.model_fields.items()]
            blocks.append("\n".join([f"[{name}]  {(model.__doc__ or '').strip()}", *keys]))
    return "\n\n".join(blocks)


def _key_line(key: str, field: FieldInfo) -> str:
    value = ", ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
    default = "" if value in (None, "", {}) or field.is_required() else f" Default: {value}."
    return f"  {key:<16} {field.description}{default}"
