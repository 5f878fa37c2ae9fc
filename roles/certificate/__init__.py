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
from provision.settings import Settings
from roles.role import Data, Door, Role
from roles.shared import mirrors, paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

REDIRECT = "hubwright-redirect"
PROXY = "jupyterhub-proxy"
RENEWAL = "hubwright-certificate"
WEBROOT = f"{paths.ACME}/webroot"
ACME_CA = f"{paths.ACME}/directory-ca.pem"
# Certbot's files when it is used for something else too; the hub's own certificate is in paths.ACME.
CERTBOTS_OWN = ("/etc/letsencrypt/renewal/*.conf", "/etc/letsencrypt/live/*/fullchain.pem")


def certificate(inputs: Inputs) -> str:
    """The path of the file with the hub's key and certificate; "" where the hub speaks plain HTTP.

    Each source has a file of its own: one can be made before the other goes.
    """
    mode = inputs.settings.tls.mode
    if mode == "letsencrypt":
        return f"{paths.TLS}/acme-{_account(inputs)}.pem"
    return f"{paths.TLS}/{mode}.pem" if inputs.settings.tls.own_scheme == "https" else ""


def steps(inputs: Inputs) -> list[Resource]:
    # An ACME server comes back to the redirect's port. Others are there before ports change hands.
    acme = inputs.settings.tls.mode == "letsencrypt"
    front = [*_ports(inputs), *_redirect(inputs)]
    return [
        *_name(inputs),  # before anything is changed
        User(paths.PROXY_USER, home="/nonexistent"),
        *_programs(inputs),
        *_packages(inputs),
        *(front if acme else []),
        *_certificate(inputs),
        *([] if acme else front),
    ]


def _packages(inputs: Inputs) -> list[Resource]:
    if inputs.settings.tls.mode == "self-signed":
        return [AptPackages("tls", ("openssl",)), AptPackages("iproute2", ("iproute2",))]
    if inputs.settings.tls.mode != "letsencrypt":
        return []
    certbots = ("/etc/letsencrypt", "/var/log/letsencrypt")
    return [
        AptPackages("tls", ("openssl",)),
        AptPackages("certbot", ("certbot",), data=certbots, in_use=CERTBOTS_OWN),
    ]


def _programs(inputs: Inputs) -> list[File]:
    return inputs.code("system/redirect.py", "system/keep_certificate.py")


def _name(inputs: Inputs) -> list[Resource]:
    if inputs.settings.tls.mode != "letsencrypt":
        return []
    return [ResolvableName(inputs.settings.hub.domain, "a certificate of Let's Encrypt")]


def _ports(inputs: Inputs) -> list[Resource]:
    """The ports for visitors. The two units may swap theirs from one run to the next."""
    ports = [FreePort(inputs.settings.hub.port, PROXY, ours=(REDIRECT,))]
    if inputs.settings.redirect_port:
        ports.append(FreePort(inputs.settings.redirect_port, REDIRECT, ours=(PROXY,)))
    return [*ports]


def _redirect(inputs: Inputs) -> list[Resource]:
    port = inputs.settings.redirect_port
    if not port:
        return []
    unit = render(
        "certificate/hubwright-redirect.service.j2",
        port=port,
        to=inputs.settings.hub.port,
        domain=inputs.settings.hub.domain,
        webroot=WEBROOT,
    )
    return [
        Directory(paths.ACME),
        Directory(WEBROOT, purge=True),
        Service(REDIRECT, unit, watches=(_programs(inputs)[0].id,), ready=answers(inputs.settings)[REDIRECT]),
    ]


def _certificate(inputs: Inputs) -> list[Resource]:
    path = certificate(inputs)
    if not path:
        return []
    folder = Directory(paths.TLS, mode=0o750, group=paths.PROXY_USER)
    if inputs.settings.tls.mode == "files":
        readable = {"mode": 0o640, "group": paths.PROXY_USER}
        return [folder, File(path, inputs.certificate, secret=True, **readable)]  # type: ignore[arg-type]
    if inputs.settings.tls.mode == "letsencrypt":
        return [folder, *_from_acme(inputs, path)]
    domain = ("--domain", inputs.settings.hub.domain) if inputs.settings.hub.domain else ()
    return [
        folder,
        *_kept(inputs, ("self-signed", "--path", path, "--group", paths.PROXY_USER, *domain)),
    ]


def _from_acme(inputs: Inputs, path: str) -> list[Resource]:
    tls = inputs.settings.tls
    state = f"{paths.ACME}/{_account(inputs)}"
    arguments = ["acme", "--path", path, "--group", paths.PROXY_USER, "--domain", inputs.settings.hub.domain]
    arguments += ["--email", tls.email or "", "--directory", tls.directory]
    arguments += ["--webroot", WEBROOT, "--state", state]
    found: list[Resource] = [Directory(state, mode=0o700, purge=True)]
    if inputs.acme_ca:
        found.append(File(ACME_CA, inputs.acme_ca))
        arguments += ["--ca", ACME_CA]
    return [*found, *_kept(inputs, tuple(arguments))]


def _kept(inputs: Inputs, arguments: tuple[str, ...]) -> list[Resource]:
    """The certificate, and the timer that renews it between runs."""
    path = _programs(inputs)[1].path
    acme = arguments[0] == "acme"
    env_files = mirrors.unit_environment(inputs)[:1] if acme else []
    service = render(
        "certificate/hubwright-certificate.service.j2",
        program=path,
        arguments=arguments,
        acme=acme,
        environment=[file.path for file in env_files],
    )
    return [
        KeptCertificate(certificate(inputs), path, arguments),
        Timer(RENEWAL, render("certificate/hubwright-certificate.timer.j2"), service),
    ]


def _account(inputs: Inputs) -> str:
    """A digest of the ACME server and the domain: another of either needs another certificate and folder."""
    return hashlib.sha256(
        f"{inputs.settings.tls.directory} {inputs.settings.hub.domain}".encode()
    ).hexdigest()[:8]


def units(settings: Settings) -> tuple[str, ...]:
    kept = settings.tls.mode in ("self-signed", "letsencrypt")
    return (*((REDIRECT,) if settings.redirect_port else ()), *((f"{RENEWAL}.timer",) if kept else ()))


def answers(settings: Settings) -> dict[str, str]:
    port = settings.redirect_port
    # 404: there is no such challenge.
    return {REDIRECT: f"http://127.0.0.1:{port}/.well-known/acme-challenge/ready"} if port else {}


def doors(settings: Settings) -> tuple[Door, ...]:
    port = settings.redirect_port
    return (Door(port, "visitors", key="tls.redirect_port"),) if port else ()


ROLE = Role(
    "certificate",
    "the certificate, its renewal, and the redirect to https",
    steps,
    ("base",),
    units=units,
    state=(Data("the account at the ACME server", path=paths.ACME),),
    doors=doors,
    secrets=(paths.TLS,),
    answers=answers,
)
