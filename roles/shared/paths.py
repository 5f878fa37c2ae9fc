"""Names and paths on the host that more than one role uses."""

from __future__ import annotations

CONFIG = "/etc/jupyterhub"
SECRETS = f"{CONFIG}/secrets"
HUB_JSON = f"{CONFIG}/hub.json"
DOWNLOADS = f"{CONFIG}/downloads.env"  # for units that go through the proxy
OWN_CONFIG = f"{CONFIG}/config.d"  # the operator's own files, loaded last
HUB_CONFIG = f"{CONFIG}/jupyterhub_config.py"
TLS = f"{CONFIG}/tls"
STATE = "/var/lib/jupyterhub"
ACME = "/var/lib/hubwright-acme"

SOFTWARE = "/opt/hubwright"
ENVIRONMENT = f"{SOFTWARE}/current"
SERVICES = f"{SOFTWARE}/services"
SYSTEM = f"{SOFTWARE}/system"  # programs that the system's python3 runs
PROXY = f"{SOFTWARE}/proxy"
CONDA = "/opt/miniconda3"
TEMPLATES = f"{SOFTWARE}/share/templates"  # pages that visitors and operators see

USER = "jupyterhub"
PROXY_USER = "jupyterhub-proxy"

NETWORK = "hubwright"
BRIDGE = "hubwright0"

# Shares of a busy processor, beside 100 for every other service and every visitor's server: CPUWeight= of
# systemd.resource-control(5). The proxy and the hub go first, measuring and tidying up come last.
CPU_VISITORS = 400
CPU_OPERATORS = 20
# While a host boots (StartupCPUWeight=), all that the hub does not wait for waits for the hub.
CPU_OPERATORS_AT_START = 1
