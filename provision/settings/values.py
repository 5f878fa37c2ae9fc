"""The forms of single values of hub.toml: sizes, times, names, addresses. Errors say what would be right."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

_SIZE = re.compile(r"^(\d{1,18}(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$", re.IGNORECASE)
_DURATION = re.compile(r"^(\d{1,12})\s*([smhd]?)$")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"^{_LABEL}(\.{_LABEL})*$")
_ACCOUNT_NAME = re.compile(r"^[a-z0-9][a-z0-9._@+-]{0,63}$")
_ORIGIN = re.compile(rf"https?://(\*\.)?{_LABEL}(\.{_LABEL})*(:\d{{1,5}})?", re.IGNORECASE)
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


def _account_name(value: str) -> str:
    if value != value.lower():
        raise ValueError(f'"{value}" should be "{value.lower()}": the hub writes names in lower case')
    if not _ACCOUNT_NAME.fullmatch(value):
        raise ValueError(f'"{value}" should be a name such as "ada" or "ada@example.org"')
    return value


def _host_port(value: str) -> str:
    if not _HOST_PORT.match(value) or not 0 < int(value.rpartition(":")[2]) < 65536:
        raise ValueError('should be "host:port"')
    return value


def _port_pair(value: str) -> str:
    ports = value.split(":")
    if len(ports) != 2 or not all(port.isdecimal() and 0 < int(port) < 65536 for port in ports):
        raise ValueError('should be "port here:port in the machine", such as "18085:8085"')
    return value


def _box(value: str) -> str:
    try:
        Path(value).expanduser()
    except RuntimeError:
        raise ValueError(
            f"should begin with a folder: this computer has no user {value.split('/')[0][1:]}"
        ) from None
    return value


def _domain(value: str) -> str:
    if value and not (_DOMAIN.match(value) or is_address(value)):
        raise ValueError(
            'should be a name such as "hub.example.org" or an address, without http:// or a port'
        )
    return value


def _address(value: str) -> str:
    if not is_address(value):
        raise ValueError('should be an IP address such as "127.0.0.1"')
    return str(ip_address(value))


def is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _web_address(value: str) -> str:
    """The URL, with its scheme in lower case."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # the port is checked only here
    except ValueError:
        raise ValueError('should be a URL such as "https://host/path" or "https://host:8443/"') from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", value):
        raise ValueError("should be a URL that begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("should carry no user and no password: the address appears in logs")
    return f"{parts.scheme}{value[len(parts.scheme) :]}"


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise ValueError('should be an address such as "hub@example.org"')
    return value


_BEYOND_URLS = re.compile(r"[\s\\<>\"`|^\x00-\x1f\x7f]")
_START_PAGE = (
    'should be a file such as "welcome.ipynb" or a path such as "/lab/tree/demo.ipynb" or "/tree": on the '
    "visitor's own server, without a host or .., a space written as %20"
)


def _start_page(value: str) -> str:
    """A path on a visitor's server. A file without a leading slash opens in JupyterLab."""
    path = value if value.startswith("/") else f"/lab/tree/{value}"
    parts = urlsplit(path)
    steps = unquote(parts.path).replace("\\", "/").split("/")
    # Some browsers take // for the start of a host, and the part before a colon for a scheme.
    elsewhere = value.startswith("//") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value)
    if not value or elsewhere or ".." in steps or _BEYOND_URLS.search(value):
        raise ValueError(_START_PAGE)
    # JupyterHub and its servers fill in names between braces.
    return quote(path, safe="/%?&=#+:@!$'()*,;~[]")


def _variable(value: str) -> str:
    if not re.fullmatch(r"[^=\s\0]+", value):
        raise ValueError("should be a name, without spaces and =")
    return value


_NOT_FOR_HOSTS = {
    "0.0.0.0/8": "addresses that mean no host",
    "127.0.0.0/8": "addresses of the computer itself (loopback)",
    "169.254.0.0/16": "link-local addresses",
    "224.0.0.0/4": "addresses of many hosts at once (multicast)",
    "240.0.0.0/4": "addresses that are reserved",
}


def _subnet(value: str) -> str:
    """The network with the length of its prefix, also when it was given with a netmask."""
    network = IPv4Network(value)
    if network.prefixlen > 24:
        raise ValueError("should be a /24 or larger: every running server takes an address")
    if network.prefixlen < 8:
        raise ValueError("should be a /8 or smaller: it hides the addresses that it takes from this host")
    for other, what in _NOT_FOR_HOSTS.items():
        if network.overlaps(IPv4Network(other)):
            raise ValueError(f"should be a private range such as 172.30.0.0/20: {other} has {what}")
    return str(network)


def _folder(value: str) -> str:
    return _web_address(value).rstrip("/")


def parse_registry(value: str) -> str:
    """A URL as dockerd takes its `registry-mirrors`. ValueError says what would be right."""
    value = _folder(value)
    parts = urlsplit(value)
    if parts.path or parts.query or parts.fragment:
        raise ValueError('should be "https://host" or "https://host:port", without a path')
    return value


def parse_proxy(value: str) -> str:
    """The URL of a proxy, as every program understands it. ValueError says what would be right."""
    parts = urlsplit(value)
    if "@" in value:
        raise ValueError("should carry no user and no password: they belong to proxy_credentials")
    if parts.scheme not in ("http", "https") or not parts.hostname or _port(value) is None:
        raise ValueError('should be "http://host:port"')
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError('should be "http://host:port", and nothing after it')
    if is_loopback(parts.hostname):
        raise ValueError("should be an address that the hosts and their containers reach")
    return value.rstrip("/")


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def parse_proxy_exception(value: str) -> str:
    """A place that is reached without a proxy. ValueError says what would be right."""
    try:
        ip_network(value)
    except ValueError:
        if not _DOMAIN.match(value.removeprefix(".")):
            raise ValueError('should be a name, an address or a range such as "10.0.0.0/8"') from None
    return value


def is_loopback(host: str) -> bool:
    """True for a name or address that means the computer itself, on every computer."""
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"


def _range(value: str) -> str:
    try:
        network = IPv4Network(value, strict=False)
    except ValueError:
        network = None
    if network is None or not re.fullmatch(r"[0-9.]+/[0-9]{1,2}", value):
        raise ValueError(f'"{value}" should be an IPv4 range such as "10.0.0.0/8"; one address ends in /32')
    if str(network) != value:
        raise ValueError(
            f'"{value}" should be "{network}", which begins with the first address of that range'
        )
    return value


def _place(value: str) -> str:
    """An address, or a range of them, as the kernel writes it."""
    if "/" not in value and is_address(value):
        return str(ip_address(value))
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in value:
        raise ValueError(f'"{value}" should be an address or a range such as "10.0.0.0/8" or "2001:db8::/32"')
    if network.prefixlen == 0:
        raise ValueError(
            f'"{value}" should not be all addresses: visitors could then say that they are others'
        )
    return str(network)


def _origin(value: str) -> str:
    """The origin of pages: a scheme and a host, maybe with a port, or `*.` for all names below a domain."""
    match = _ORIGIN.fullmatch(value)
    if match is None:
        raise ValueError(
            f'"{value}" should be the address of a site without a path, such as "https://lms.example.org" or '
            '"https://*.example.org"'
        )
    return value.lower()


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
FLUSH = 10  # seconds between two reports of StatsD, and so the finest step for Graphite


def _retention(value: str) -> str:
    """Graphite's own form and whisper's rules: each step divides the next one, each span is longer."""
    archives = []
    for part in value.split(","):
        match = _ARCHIVE.match(part.strip())
        if match is None:
            raise ValueError('should be pairs of step and span such as "10s:6h,1m:2d,15m:1y"')
        archives.append((int(match[1]) * _SPAN[match[2]], int(match[3]) * _SPAN[match[4]]))
    if archives[0][0] != FLUSH:
        raise ValueError(f"should begin with steps of {FLUSH}s, which is how often StatsD passes numbers on")
    for (step, span), (next_step, next_span) in pairwise(archives):
        if next_step <= step or next_step % step or next_span <= span or span < next_step:
            raise ValueError("every pair should have a step that the one before divides, and a longer span")
    return value


def _at_least(least: str) -> AfterValidator:
    """A validator of sizes."""

    def check(value: int) -> int:
        if value < parse_size(least):
            raise ValueError(f'should be at least "{least}"; a number without a unit means bytes')
        return value

    return AfterValidator(check)


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0, le=1 << 60)]
SizeLimit = Annotated[int, BeforeValidator(parse_size), Field(ge=0, le=1 << 60)]  # 0: no limit
ServerMemory = Annotated[Size, _at_least("64M")]
MachineMemory = Annotated[Size, _at_least("256M")]
MachineDisk = Annotated[Size, _at_least("1G")]
Duration = Annotated[int, BeforeValidator(parse_duration), Field(ge=0)]
Timeout = Annotated[int, BeforeValidator(parse_duration), Field(ge=1)]
Subnet = Annotated[str, AfterValidator(_subnet)]
AccountName = Annotated[str, AfterValidator(_account_name)]
StartPage = Annotated[str, AfterValidator(_start_page)]
Variable = Annotated[str, AfterValidator(_variable)]
Email = Annotated[str, AfterValidator(_email)]
Port = Annotated[int, Field(ge=1, le=65535)]
UserPort = Annotated[int, Field(ge=1024, le=65535)]  # for programs without privileges
PortPair = Annotated[str, AfterValidator(_port_pair)]
Box = Annotated[str, Field(min_length=1), AfterValidator(_box)]
Domain = Annotated[str, AfterValidator(_domain)]
Address = Annotated[str, AfterValidator(_address)]
Range = Annotated[str, AfterValidator(_range)]
Place = Annotated[str, AfterValidator(_place)]
Origin = Annotated[str, AfterValidator(_origin)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Folder = Annotated[str, AfterValidator(_folder)]
Registry = Annotated[str, AfterValidator(parse_registry)]
Proxy = Annotated[str, AfterValidator(parse_proxy)]
ProxyException = Annotated[str, AfterValidator(parse_proxy_exception)]
ArchiveName = Literal["debian", "debian-security", "ubuntu", "ubuntu-ports"]
PinnedImage = Annotated[str, AfterValidator(_pinned)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
Channel = Annotated[str, AfterValidator(_channel)]
HostPort = Annotated[str, AfterValidator(_host_port)]
PythonVersion = Annotated[str, AfterValidator(_python_version)]
Retention = Annotated[str, AfterValidator(_retention)]
LocalPath = Annotated[Path, Field(strict=False)]  # TOML has no type of its own for a path
