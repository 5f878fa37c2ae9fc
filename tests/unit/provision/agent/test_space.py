"""The room for a first apply, on the disk where it is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.agent import space
from provision.agent.resources import Problem
from provision.agent.resources.docker.daemon import image_root, parse_containerd_root
from tests.support.fakes.host import Host, theirs
from tests.support.fakes.machine import FakeMachine
from tests.support.fakes.systemd import Unit

GIB = 1 << 30


def disks(monkeypatch: pytest.MonkeyPatch, **free: float) -> None:
    """Let each folder directly below / be a disk of its own with this many GiB free."""
    monkeypatch.setattr(space, "free_space", lambda path: (path, int(free[path.split("/")[1]] * GIB)))
    devices = {name: number for number, name in enumerate(free)}
    monkeypatch.setattr(space, "disk_of", lambda path: devices[path.split("/")[1]])


def test_docker_s_disk_counts_where_docker_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    disks(monkeypatch, srv=0.6, opt=69)
    with pytest.raises(Problem, match=r"only 0.6 GiB free at /srv/docker, and a hub needs 2.0 GiB there"):
        space.require_space({"/srv/docker": space.IMAGES, "/opt": space.REST})


def test_a_large_disk_of_docker_s_is_enough_for_images(monkeypatch: pytest.MonkeyPatch) -> None:
    disks(monkeypatch, srv=69, opt=1.5)
    space.require_space({"/srv/docker": space.IMAGES, "/opt": space.REST})
    disks(monkeypatch, srv=69, opt=0.5)
    with pytest.raises(Problem, match=r"0.5 GiB free at /opt"):
        space.require_space({"/srv/docker": space.IMAGES, "/opt": space.REST})


def test_one_disk_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    disks(monkeypatch, opt=2.5)
    with pytest.raises(Problem, match=r"2.5 GiB free at /opt/docker, and a hub needs 3.0 GiB"):
        space.require_space({"/opt/docker": space.IMAGES, "/opt": space.REST})


def test_places_that_are_not_there_count_for_their_nearest_parent(tmp_path: Path) -> None:
    space.require_space({str(tmp_path / "not" / "there"): 1})
    with pytest.raises(Problem, match=rf"GiB free at {tmp_path}, and a hub needs 1073741824\.0 GiB"):
        space.require_space({str(tmp_path / "not" / "there"): 1 << 60})


@pytest.mark.parametrize(
    ("told", "root"),
    [
        (
            {"DockerRootDir": "/data/docker", "DriverStatus": [["Backing Filesystem", "extfs"]]},
            "/data/docker",
        ),
        ({"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}, "/var/lib/containerd"),
        ({"DriverStatus": None}, "/srv/docker"),
    ],
)
def test_a_running_engine_tells_where_its_images_are(host: Host, told: dict[str, object], root: str) -> None:
    theirs(host, "/etc/docker/daemon.json", '{"data-root": "/srv/docker"}')
    machine = FakeMachine(host)
    assert image_root(machine) == "/srv/docker"
    machine.looks.clear()
    host.installed.add("docker.io")
    host.units["docker"] = Unit("active")
    host.script("docker", "info", answer=json.dumps(told))
    assert image_root(machine) == root


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("", "/var/lib/containerd"),
        ('version = 2\nroot = "/data/containerd"\n', "/data/containerd"),
        ('#root = "/x"\n', "/var/lib/containerd"),
    ],
)
def test_containerd_s_folder(text: str, root: str) -> None:
    assert parse_containerd_root(text) == root
