"""Docker's engine, networks, images and volumes, through its command line."""

from __future__ import annotations

from .image import DockerImage, images, parse_loaded
from .network import DockerNetwork, networks, parse_networks
from .servable import ServableImage
from .service import EngineService
from .settings import EngineSettings
from .usable import UsableEngine
from .volume import DockerVolume, volumes

__all__ = [
    "DockerImage",
    "DockerNetwork",
    "DockerVolume",
    "EngineService",
    "EngineSettings",
    "ServableImage",
    "UsableEngine",
    "images",
    "networks",
    "parse_loaded",
    "parse_networks",
    "volumes",
]
