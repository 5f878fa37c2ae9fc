"""How this network lets downloads through. The only place that tells programs of mirrors and the proxy."""

from __future__ import annotations

from urllib.parse import urlsplit

from provision.agent.resources import AptSources, File, Resource, TrustedCertificate
from provision.agent.resources.certificates import BUNDLE
from provision.settings import Settings
from roles import paths
from roles.inputs import Inputs

APT_PROXY = "/etc/apt/apt.conf.d/90hubwright-proxy"
APT_CREDENTIALS = "/etc/apt/auth.conf.d/hubwright.conf"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")

# What reads which: docs/networks.md.
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")


def environment(settings: Settings) -> dict[str, str]:
    """What all programs of a run on a host are started with. Holds the proxy's credentials."""
    return {**proxy_variables(settings), **_indexes(settings)}


def notebooks(settings: Settings) -> dict[str, str]:
    """The same for visitors' servers, where they shall have it."""
    if not settings.mirrors.notebooks:
        return {}
    trust = {**dict.fromkeys(_TRUST, BUNDLE), "CONDA_SSL_VERIFY": BUNDLE}
    return {**environment(settings), **(trust if settings.mirrors.ca_certificates else {})}


def notebooks_certificates(settings: Settings) -> str:
    """The host's file of certificates, where visitors' servers shall have it in place of their image's."""
    mirrors = settings.mirrors
    return BUNDLE if mirrors.notebooks and mirrors.ca_certificates else ""


def proxy_variables(settings: Settings) -> dict[str, str]:
    """In small letters, which curl and apt insist on, and in capitals, which others do."""
    proxies = settings.mirrors.proxies
    if not proxies:
        return {}
    values = dict(zip(PROXY_VARIABLES, (*proxies.values(), ",".join(_directly(settings))), strict=True))
    return {**values, **{name.upper(): value for name, value in values.items()}}


def _directly(settings: Settings) -> list[str]:
    """What is never asked of the proxy: this machine, the hub on the notebooks' network, and what is set.

    The gateway stands beside its network because not every program understands a range.
    """
    network = settings.network
    own = ["localhost", "127.0.0.1", "::1", network.gateway, network.subnet]
    return [*own, *settings.mirrors.no_proxy]


def _indexes(settings: Settings) -> dict[str, str]:
    mirrors = settings.mirrors
    found: dict[str, str] = {}
    if mirrors.pypi:
        found |= {"PIP_INDEX_URL": mirrors.pypi, "UV_DEFAULT_INDEX": mirrors.pypi}
        if mirrors.pypi.startswith("http:"):  # pip passes such an index over, unless it is told not to
            found["PIP_TRUSTED_HOST"] = urlsplit(mirrors.pypi).netloc
    if mirrors.npm:
        found["npm_config_registry"] = mirrors.npm
    if mirrors.conda:
        found["CONDA_CHANNEL_ALIAS"] = mirrors.conda
    return found


def certificates(i: Inputs) -> list[TrustedCertificate]:
    """The authorities that vouch for this network's own servers."""
    return [TrustedCertificate(name, pem) for name, pem in sorted(i.certificates.items())]


def apt(i: Inputs) -> list[Resource]:
    """For apt, whoever calls it: the proxy. One that is given up may not answer any more."""
    mirrors = i.settings.mirrors
    if not mirrors.http_proxy:
        return []
    proxies = {"http": mirrors.http_proxy, "https": mirrors.https_proxy or mirrors.http_proxy}
    lines = [f'Acquire::{scheme}::Proxy "{url}";' for scheme, url in proxies.items()]
    lines += [
        f'Acquire::{scheme}::Proxy::{name} "DIRECT";'
        for scheme in proxies
        for name in mirrors.no_proxy
        if not {"/", ":"}.intersection(name) and not name.startswith(".")  # apt knows single hosts only
    ]
    found: list[Resource] = [File(APT_PROXY, "\n".join(lines) + "\n", goes_first=True)]
    if mirrors.credentials:
        user, password = mirrors.credentials
        login = f"login {user} password {password}\n"
        text = "".join(f"machine {url} {login}" for url in sorted(set(proxies.values())))
        found.append(File(APT_CREDENTIALS, text, mode=0o600, secret=True, goes_first=True))
    return found


def sources(i: Inputs) -> list[Resource]:
    """For apt: the archives."""
    archives = {str(name): uri for name, uri in i.settings.mirrors.apt.items()}
    return [AptSources(archives)] if archives else []


def unit_environment(i: Inputs) -> list[File]:
    """A file for units that download. They start without it: an image of a machine holds no secrets."""
    variables = proxy_variables(i.settings)
    if not variables:
        return []
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    return [File(paths.DOWNLOADS, text, mode=0o600, secret=True)]
