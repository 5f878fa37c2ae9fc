"""StatsD and Graphite, in one container that systemd runs. Only programs on the host reach it."""

from __future__ import annotations

from provision.agent.resources import DockerImage, DockerVolume, Resource, Service
from provision.settings.image_names import GRAPHITE
from roles.shared.inputs import Inputs
from roles.shared.render import render

NAME = "hubwright-graphite"
VOLUME = DockerVolume(NAME)
MEMORY = "256m"
CPU_SHARES = 256  # a quarter of Docker's usual: visitors' servers come first


def wanted(i: Inputs) -> bool:
    return i.settings.monitoring.graphite


def image(i: Inputs) -> DockerImage:
    return i.images[GRAPHITE].resource(GRAPHITE)


def url(i: Inputs) -> str:
    """Where Graphite answers on the host."""
    return f"http://127.0.0.1:{i.settings.monitoring.graphite_port}"


def steps(i: Inputs) -> list[Resource]:
    if not wanted(i):
        return []
    monitoring = i.settings.monitoring
    unit = render(
        f"graphite/{NAME}.service.j2",
        image=image(i).tag,
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
    return [VOLUME, image(i), Service(NAME, unit, ready=f"{url(i)}/health", ports=ports)]
