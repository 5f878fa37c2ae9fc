"""The status page: /services/status, behind the proxy."""

from __future__ import annotations

import json

from provision.agent.resources import File, GeneratedSecret, Resource, Service
from provision.settings import Settings
from roles import graphite, python
from roles.role import Door, Page, Role
from roles.shared import paths
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "status"
UNIT = "hubwright-status"
KEY = GeneratedSecret(f"{paths.SECRETS}/status.env", "STATUS_KEY")
SETTINGS = f"{paths.SOFTWARE}/share/status.json"
JOURNAL = "/var/lib/hubwright/journal.jsonl"


def url(settings: Settings) -> str:
    """The page's URL for the proxy."""
    return f"http://127.0.0.1:{settings.monitoring.status_port}"


def page(settings: Settings) -> str:
    """The URL of the page itself on the host."""
    return f"{url(settings)}/services/{NAME}/"


def steps(inputs: Inputs) -> list[Resource]:
    monitoring = inputs.settings.monitoring
    settings = {
        "title": inputs.settings.hub.title,
        "public": monitoring.public_summary,
        "port": monitoring.status_port,
        "graphite": graphite.url(inputs.settings),
        "prefix": monitoring.prefix,
    }
    port = ("tcp", "127.0.0.1", monitoring.status_port, "[monitoring] status_port")
    watched = [
        KEY,
        File(SETTINGS, json.dumps(settings, indent=2, sort_keys=True) + "\n"),
        *inputs.code(
            *(f"status_page/{name}.py" for name in ("status_page", "status_data", "plots", "tickets"))
        ),
        *inputs.pages("status_page", "status.html", "status_closed.html", "status.css"),
    ]
    unit = render(f"status_page/{UNIT}.service.j2", token_file=KEY.path, settings=SETTINGS, journal=JOURNAL)
    watches = tuple(
        resource.id for resource in (*watched, *inputs.pages("hub", "logo.svg"), python.environment(inputs))
    )
    return [*watched, Service(UNIT, unit, watches=watches, ready=page(inputs.settings), ports=(port,))]


ROLE = Role(
    "status_page",
    "the status page",
    steps,
    ("python", "proxy"),
    wanted=graphite.wanted,
    units=lambda _: (UNIT,),
    page=Page(NAME, url, lambda settings: settings.monitoring.public_summary),
    doors=lambda settings: (Door(settings.monitoring.status_port, "host", key="monitoring.status_port"),),
    secrets=(KEY.path,),
    answers=lambda settings: {UNIT: page(settings)},
)
