"""A made-up host's Docker, with the things that its command line makes and lists."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from provision.agent.resources import CommandFailed

CONFIG = {"User": "jovyan", "Cmd": ["jupyterhub-singleuser"]}
RUNNING = {"Pid": 1 << 30, "Running": True, "OOMKilled": False, "ExitCode": 0}  # no process has that number


@dataclass(kw_only=True)
class Docker:
    images: set[str] = field(default_factory=set)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    engine_answers: bool = True
    image: dict[str, Any] = field(default_factory=lambda: {"Architecture": "amd64", "Config": dict(CONFIG)})
    trial: dict[str, Any] = field(default_factory=lambda: dict(RUNNING))
    trials: int = 0
    answer: dict[str, Any] = field(default_factory=lambda: {"status": 200, "version": "6.1.1"})

    def image_id(self, tag: str) -> str:
        return hashlib.sha256(tag.encode()).hexdigest()[:12]

    def _dockerd(self, *words: str) -> str:
        assert words == ("--help",)
        return ""

    def _nsenter(self, *_: str) -> str:
        return json.dumps(self.answer)

    def _docker(self, *words: str) -> str:
        if not self.engine_answers:
            said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
            raise CommandFailed(["docker"], 1, said)
        match words:
            case ("network", "ls", "--quiet"):
                return "\n".join(self.networks)
            case ("network", "ls", *_):
                return "\n".join(["bridge", *self.networks])
            case ("inspect", *_, "hubwright.trial"):
                return json.dumps(self.trial)
            case ("inspect", *_):
                return "7\n"
            case ("ps", *_):
                return ""
            case ("network", "inspect", *names):
                return json.dumps([self.networks[name] for name in names])
            case ("network", "create", *_):
                option = dict(word.rpartition("=")[::2] for word in words if "com.docker" in word)
                pool = {
                    "Subnet": words[words.index("--subnet") + 1],
                    "Gateway": words[words.index("--gateway") + 1],
                }
                self.networks[words[-1]] = {"Name": words[-1], "IPAM": {"Config": [pool]}, "Options": option}
            case ("volume", "ls", *_):
                return "\n".join(sorted(self.volumes))
            case ("volume", "create", name):
                self.volumes.add(name)
            case ("volume", "rm", name):
                self.volumes.remove(name)
            case ("network", "rm", name):
                del self.networks[name]
            case ("image" | "tag" | "build" | "pull" | "load", *_):
                return self._docker_image(*words)
            case ("version", *_):
                return "amd64\n"
            case ("run", *_, name) if name in self.images or words[-2] in self.images:
                self.trials += 1
            case ("logs", *_, "hubwright.trial"):
                return "last words of a server\n"
            case ("rm", *_, "hubwright.trial"):
                return ""
            case _:
                pytest.fail(f"no answer is scripted for docker {words}")
        return ""

    def _docker_image(self, *words: str) -> str:
        """Commands about images."""
        match words:
            case ("image", "ls", *_):
                return "\n".join(f"{name} {self.image_id(name)}" for name in sorted(self.images))
            case ("image", "inspect", _):
                return json.dumps([self.image])
            case ("image", "rm", *_, name):
                self.images.discard(name)
            case ("tag", _, name):
                self.images.add(name)
            case ("build", "--tag", name, *_):
                self.images.add(name)
            case ("pull", name):
                self.images.add(name)
            case ("load", *_):
                self.images.add("their/image:1")
                return "Loaded image: their/image:1\n"
            case _:
                pytest.fail(f"no answer is scripted for docker {words}")
        return ""
