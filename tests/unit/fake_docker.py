"""A made-up host's Docker: what its command line makes and lists."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from provision.agent.resources import CommandFailed


@dataclass(kw_only=True)
class Docker:
    images: set[str] = field(default_factory=set)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    engine_answers: bool = True

    def _docker(self, *words: str) -> str:
        if not self.engine_answers:
            said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
            raise CommandFailed(["docker"], 1, said)
        match words:
            case ("network", "ls", *_):
                return "\n".join(["bridge", *self.networks])
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
            case ("image", "ls", *_):
                return "\n".join(sorted(self.images))
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
