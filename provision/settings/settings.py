"""All of hub.toml: its sections, and the rules between them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from .auth import Auth, TemporaryAccounts
from .builder import Builder
from .deploy import Deploy
from .downloads import Downloads
from .extend import Extend
from .hub import Hub
from .image import Image
from .monitoring import Monitoring
from .network import Network
from .python import Python
from .section import Section, variants
from .server import Server
from .tls import Tls
from .users import Users
from .values import is_address
from .vm import Vm

_PORTS = {"behind-proxy": 8000, "off": 80}  # the hub's own by tls.mode, unless hub.port is set


class Settings(Section):
    """All of hub.toml. `root` is the folder of `file`; relative paths start there."""

    root: Annotated[Path, Field(exclude=True)]
    file: Annotated[str, Field(exclude=True)] = "hub.toml"
    hub: Hub = Hub()
    auth: Auth = Field(TemporaryAccounts(), discriminator="type")
    users: Users = Users()
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
    extend: Extend = Extend()

    @model_validator(mode="before")
    @classmethod
    def _types(cls, tables: Any) -> Any:
        """The tables, with the default type in those that have several types and name none."""
        filled = {
            name: {"type": next(iter(variants(field.annotation))), **tables[name]}
            for name, field in cls.model_fields.items()
            if isinstance(tables.get(name), dict) and variants(field.annotation)
        }
        return {**tables, **filled}

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
    def _admins_can_log_in(self) -> Settings:
        admins = self.users.admins
        if isinstance(self.auth, TemporaryAccounts):
            if admins:
                raise ValueError(
                    'users.admins should be empty with auth.type = "tmp": its visitors have no names'
                )
        elif bool(admins) != (self.auth.admin_password is not None):
            raise ValueError(
                "auth.admin_password is missing: users.admins enter with it; give it in secrets.toml "
                "(mode 600) or as HUBWRIGHT__AUTH__ADMIN_PASSWORD"
                if admins
                else "auth.admin_password belongs to users.admins, which is empty"
            )
        return self

    @model_validator(mode="after")
    def _domain_fits_the_mode(self) -> Settings:
        mode, domain = self.tls.mode, self.hub.domain
        if mode in ("files", "letsencrypt") and not domain:
            raise ValueError(f'hub.domain is missing: tls.mode = "{mode}" needs the name that visitors use')
        if mode == "letsencrypt" and (is_address(domain) or "." not in domain):
            raise ValueError(f'hub.domain should be a public name for tls.mode = "{mode}", not "{domain}"')
        return self

    @model_validator(mode="after")
    def _frames_have_cookies(self) -> Settings:
        if self.hub.frame_ancestors and self.tls.scheme != "https":
            raise ValueError(
                'hub.frame_ancestors should be empty with tls.mode = "off": without https browsers send no '
                "cookie into a frame of another site"
            )
        return self

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        """Refuse two programs of a hub on one TCP port."""
        taken = {
            "hub.port": self.hub.port,
            "tls.redirect_port": self.redirect_port,
            "network.proxy_api_port": self.network.proxy_api_port,
            "network.hub_port": self.network.hub_port,
        }
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
        """The hub's address for the host itself: scheme, address and port."""
        host = self.tls.listen if self.tls.mode == "behind-proxy" else "127.0.0.1"
        return f"{self.tls.own_scheme}://{f'[{host}]' if ':' in host else host}:{self.hub.port}"

    def path(self, relative: Path) -> Path:
        """A path of the settings as an absolute one."""
        return relative if relative.is_absolute() else self.root / relative

    @property
    def state(self) -> Path:
        """The folder for notes of this computer between runs; never committed."""
        return self.root / ".hubwright"
