"""Docker's networks, images and volumes, through its command line."""

from __future__ import annotations

from .image import DockerImage, images, parse_loaded
from .network import DockerNetwork, networks, parse_networks
from .servable import ServableImage
from .volume import DockerVolume, volumes

__all__ = [
    "DockerImage",
    "DockerNetwork",
    "DockerVolume",
    "ServableImage",
    "images",
    "networks",
    "parse_loaded",
    "parse_networks",
    "volumes",
]
