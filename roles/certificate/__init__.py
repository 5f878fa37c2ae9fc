"""The certificate, its renewal, and the redirect to https."""

from __future__ import annotations

import hashlib

from provision.agent.resources import (
    AptPackages,
    Directory,
    File,
    FreePort,
    KeptCertificate,
    ResolvableName,
    Resource,
    Service,
    Timer,
    User,
)
from roles.shared import mirrors, paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

REDIRECT = "hubwright-redirect"
PROXY = "jupyterhub-proxy"
RENEWAL = "hubwright-certificate"
WEBROOT = f"{paths.ACME}/webroot"
ACME_CA = f"{paths.ACME}/directory-ca.pem"
# What certbot has when somebody else uses it too; the hub's own certificate is in paths.ACME.
CERTBOTS_OWN = ("/etc/letsencrypt/renewal/*.conf", "/etc/letsencrypt/live/*/fullchain.pem")


def certificate(i: Inputs) -> str:
    """The file with the hub's key and certificate; nothing where the hub speaks plain HTTP.

    Each source has a file of its own: one can be made before the other goes.
    """
    mode = i.settings.tls.mode
    if mode == "letsencrypt":
        return f"{paths.TLS}/acme-{_account(i)}.pem"
    return f"{paths.TLS}/{mode}.pem" if i.settings.tls.own_scheme == "https" else ""


def steps(i: Inputs) -> list[Resource]:
    return [
        *_name(i),  # before anything is changed
        User(paths.PROXY_USER, home="/nonexistent"),
        *_programs(i),
        *_ports(i),
        *_redirect(i),
        *_certificate(i),
    ]


def _programs(i: Inputs) -> list[File]:
    return i.code("system/redirect.py", "system/keep_certificate.py")


def _name(i: Inputs) -> list[Resource]:
    if i.settings.tls.mode != "letsencrypt":
        return []
    return [ResolvableName(i.settings.hub.domain, "a certificate of Let's Encrypt")]


def _ports(i: Inputs) -> list[Resource]:
    """The front door's ports. The two units may swap theirs from one run to the next."""
    ports = [FreePort(i.settings.hub.port, PROXY, ours=(REDIRECT,))]
    if i.settings.redirect_port:
        ports.append(FreePort(i.settings.redirect_port, REDIRECT, ours=(PROXY,)))
    return [*ports]


def _redirect(i: Inputs) -> list[Resource]:
    port = i.settings.redirect_port
    if not port:
        return []
    unit = render(
        "certificate/hubwright-redirect.service.j2",
        port=port,
        to=i.settings.hub.port,
        domain=i.settings.hub.domain,
        webroot=WEBROOT,
    )
    ready = f"http://127.0.0.1:{port}/.well-known/acme-challenge/ready"  # 404: nobody asked for it
    return [
        Directory(paths.ACME),
        Directory(WEBROOT, purge=True),
        Service(REDIRECT, unit, watches=(_programs(i)[0].id,), ready=ready),
    ]


def _certificate(i: Inputs) -> list[Resource]:
    path = certificate(i)
    if not path:
        return []
    folder = Directory(paths.TLS, mode=0o750, group=paths.PROXY_USER)
    if i.settings.tls.mode == "files":
        readable = {"mode": 0o640, "group": paths.PROXY_USER}
        return [folder, File(path, i.certificate, secret=True, **readable)]  # type: ignore[arg-type]
    if i.settings.tls.mode == "letsencrypt":
        return [folder, *_from_acme(i, path)]
    domain = ("--domain", i.settings.hub.domain) if i.settings.hub.domain else ()
    return [
        AptPackages("tls", ("openssl",)),
        AptPackages("iproute2", ("iproute2",)),
        folder,
        *_kept(i, ("self-signed", "--path", path, "--group", paths.PROXY_USER, *domain)),
    ]


def _from_acme(i: Inputs, path: str) -> list[Resource]:
    tls = i.settings.tls
    state = f"{paths.ACME}/{_account(i)}"
    arguments = ["acme", "--path", path, "--group", paths.PROXY_USER, "--domain", i.settings.hub.domain]
    arguments += ["--email", tls.email or "", "--directory", tls.directory]
    arguments += ["--webroot", WEBROOT, "--state", state]
    found: list[Resource] = [
        AptPackages("tls", ("openssl",)),
        AptPackages(
            "certbot",
            ("certbot",),
            data=("/etc/letsencrypt", "/var/log/letsencrypt"),
            in_use=CERTBOTS_OWN,
        ),
        Directory(state, mode=0o700, purge=True),
    ]
    if i.acme_ca:
        found.append(File(ACME_CA, i.acme_ca))
        arguments += ["--ca", ACME_CA]
    return [*found, *_kept(i, tuple(arguments))]


def _kept(i: Inputs, arguments: tuple[str, ...]) -> list[Resource]:
    """The certificate, and the timer that renews it between runs."""
    path = _programs(i)[1].path
    acme = arguments[0] == "acme"
    surroundings = mirrors.unit_environment(i)[:1] if acme else []
    service = render(
        "certificate/hubwright-certificate.service.j2",
        program=path,
        arguments=arguments,
        acme=acme,
        environment=[file.path for file in surroundings],
    )
    return [
        KeptCertificate(certificate(i), path, arguments),
        Timer(RENEWAL, render("certificate/hubwright-certificate.timer.j2"), service),
    ]


def _account(i: Inputs) -> str:
    """Another ACME server, or another name: another certificate, and certbot's files in another folder."""
    return hashlib.sha256(f"{i.settings.tls.directory} {i.settings.hub.domain}".encode()).hexdigest()[:8]
