"""Names and places on the host that more than one role speaks of."""

from __future__ import annotations

CONFIG = "/etc/jupyterhub"
SECRETS = f"{CONFIG}/secrets"
HUB_JSON = f"{CONFIG}/hub.json"
HUB_CONFIG = f"{CONFIG}/jupyterhub_config.py"
STATE = "/var/lib/jupyterhub"

SOFTWARE = "/opt/hubwright"
ENVIRONMENT = f"{SOFTWARE}/current"
SERVICES = f"{SOFTWARE}/services"
TEMPLATES = f"{SOFTWARE}/share/templates"  # pages that visitors and operators see

USER = "jupyterhub"

NETWORK = "hubwright"
BRIDGE = "hubwright0"

HUB_PORT = 8081  # on the network's gateway: for notebook servers, the proxy and services
PROXY_API_PORT = 8001  # on loopback
