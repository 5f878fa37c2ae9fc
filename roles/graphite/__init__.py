"""StatsD and Graphite, in one container that systemd runs. Only programs on the host reach it."""

from __future__ import annotations

from provision.agent.resources import DockerImage, DockerVolume, Resource, Service
from provision.settings import Settings
from provision.settings.image_names import GRAPHITE
from roles.role import Data, Door, Role
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "hubwright-graphite"
VOLUME = DockerVolume(NAME)
MEMORY = "256m"
CPU_SHARES = 256  # a quarter of Docker's usual: visitors' servers come first


def wanted(settings: Settings) -> bool:
    return settings.monitoring.graphite


def image(inputs: Inputs) -> DockerImage:
    return inputs.images[GRAPHITE].resource(GRAPHITE)


def url(settings: Settings) -> str:
    """The URL of Graphite on the host."""
    return f"http://127.0.0.1:{settings.monitoring.graphite_port}"


def health(settings: Settings) -> str:
    return f"{url(settings)}/health"


def steps(inputs: Inputs) -> list[Resource]:
    monitoring = inputs.settings.monitoring
    unit = render(
        f"graphite/{NAME}.service.j2",
        image=image(inputs).tag,
        name=NAME,
        volume=VOLUME.name,
        memory=MEMORY,
        cpu_shares=CPU_SHARES,
        statsd_port=monitoring.statsd_port,
        graphite_port=monitoring.graphite_port,
        retention=monitoring.retention,
    )
    ports = (
        ("udp", "127.0.0.1", monitoring.statsd_port, "[monitoring] statsd_port"),
        ("tcp", "127.0.0.1", monitoring.graphite_port, "[monitoring] graphite_port"),
    )
    return [VOLUME, image(inputs), Service(NAME, unit, ready=health(inputs.settings), ports=ports)]


def doors(settings: Settings) -> tuple[Door, ...]:
    monitoring = settings.monitoring
    return (
        Door(monitoring.statsd_port, "host", "udp", key="monitoring.statsd_port"),
        Door(monitoring.graphite_port, "host", key="monitoring.graphite_port"),
    )


ROLE = Role(
    "graphite",
    "StatsD and Graphite",
    steps,
    ("docker",),
    wanted=wanted,
    units=lambda _: (NAME,),
    containers=(NAME,),
    state=(Data("the numbers in Graphite", volume=VOLUME.name),),
    doors=doors,
    answers=lambda settings: {NAME: health(settings)},
)
