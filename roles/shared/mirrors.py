"""The files that let a host's downloads get through: see provision/settings/downloads.py."""

from __future__ import annotations

from provision.agent.resources import AptSources, File, Resource, TrustedCertificate
from provision.settings.download_environment import proxy_variables
from roles.shared import paths
from roles.shared.inputs import Inputs

APT_PROXY = "/etc/apt/apt.conf.d/90hubwright-proxy"
APT_CREDENTIALS = "/etc/apt/auth.conf.d/hubwright.conf"


def certificates(inputs: Inputs) -> list[TrustedCertificate]:
    """The CA certificates of this network's own servers."""
    return [TrustedCertificate(name, pem) for name, pem in sorted(inputs.certificates.items())]


def apt(inputs: Inputs) -> list[Resource]:
    """The proxy for every apt on the host. It is removed first, as an old proxy may not answer any more."""
    mirrors = inputs.settings.downloads
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


def sources(inputs: Inputs) -> list[Resource]:
    """The archives for apt."""
    archives = {str(name): uri for name, uri in inputs.settings.downloads.apt.items()}
    return [AptSources(archives)] if archives else []


def unit_environment(inputs: Inputs) -> list[File]:
    """A file for units that download. They start without it: an image of a machine holds no secrets."""
    variables = proxy_variables(inputs.settings)
    if not variables:
        return []
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    return [File(paths.DOWNLOADS, text, mode=0o600, secret=True)]
