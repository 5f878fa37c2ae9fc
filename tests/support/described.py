"""Descriptions of hubs, and what roles make of them."""

from __future__ import annotations

import roles
from provision.agent.resources import (
    Resource,
)
from provision.settings import Settings
from tests.support.fakes.host import inputs

HIDDEN = "correct-horse-battery"
SHARED = '[auth]\ntype = "shared-password"\n'
PASSWORD = f'[auth]\nuser_password = "{HIDDEN}"\n'


DESCRIPTIONS = {
    "as shipped": "",
    "privileged port": "[hub]\nport = 444\nannouncement = 'Mind the \"gap\"'",
    "no culler": "[server]\nidle_timeout = 0",
    "no TLS": "[tls]\nmode = 'off'",
    "behind a proxy": "[tls]\nmode = 'behind-proxy'\ntrusted_proxies = ['10.0.0.1']",
    "ACME": "[hub]\ndomain = 'hub.example.org'\n[tls]\nmode = 'letsencrypt'\nemail = 'a@example.org'",
    "downloads": """[downloads]
apt = {debian = 'http://mirror/debian', ubuntu = 'https://mirror/ubuntu'}
pypi = 'http://mirror/simple'
npm = 'https://mirror/npm'
conda = 'https://mirror/conda'
registries = ['https://mirror:5000']
http_proxy = 'http://proxy:3128'
notebooks = true
""",
}


def resources(settings: Settings) -> dict[str, tuple[Resource, ...]]:
    given = inputs(settings)
    return {role.name: role.resources(given) for role in roles.SHIPPED}


def every(settings: Settings) -> list[Resource]:
    return [resource for steps in resources(settings).values() for resource in steps]
