"""The configuration of a web server in front of the hub: see tls.mode behind-proxy."""

from __future__ import annotations

from ipaddress import ip_address

from provision.errors import SettingsError
from provision.settings import Settings
from roles.shared.render import render


def vhost(settings: Settings, server: str) -> str:
    """The virtual host for `nginx` or `apache`. Raises SettingsError when the settings expect none."""
    if settings.tls.mode != "behind-proxy":
        raise SettingsError(
            f'is "{settings.tls.mode}": the hub itself answers its visitors',
            where=f"{settings.root / settings.file}: tls.mode",
            hint='set it to "behind-proxy"',
        )
    if not settings.hub.domain:
        raise SettingsError(
            "is missing: the web server has to know the name that visitors use",
            where=f"{settings.root / settings.file}: hub.domain",
            hint='for example domain = "hub.example.org"',
        )
    address = ip_address(settings.tls.listen)
    if address.is_unspecified:
        address = ip_address("127.0.0.1")
    host = f"[{address}]" if address.version == 6 else str(address)
    return render(
        f"proxy/vhost-{server}.conf.j2", domain=settings.hub.domain, hub=f"{host}:{settings.hub.port}"
    )
