"""Docker's networks, images and volumes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.agent.resources import DockerImage, DockerNetwork, Problem
from provision.agent.resources.docker import parse_loaded, parse_networks
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine, converge, machine_for
from tests.unit.provision.agent.resources.test_resources import every_kind


def test_a_build_goes_through_the_run_s_proxy_and_argv_holds_no_password(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = DockerImage("ours/image:1", context="0a" * 32, arguments={"BASE": "ubuntu"})
    machine = machine_for(host, image)
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    converge(machine, image)
    assert not [word for word in host.ran("docker", "build")[0] if "proxy" in word.lower()]
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:1")
    image.apply(machine)
    (*_, argument, _context) = host.ran("docker", "build")[1]
    assert argument == "--build-arg=https_proxy"


INSPECTED = [
    {
        "Name": "ours",
        "IPAM": {"Config": [{"Subnet": "10.9.0.0/20", "Gateway": "10.9.0.1"}]},
        "Options": {
            "com.docker.network.bridge.name": "ours0",
            "com.docker.network.bridge.enable_icc": "false",
        },
    },
    {"Name": "host", "IPAM": {"Config": None}, "Options": None},
    {"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}, "Options": {}},
]


def test_parse_networks() -> None:
    assert parse_networks(json.dumps(INSPECTED)) == {
        "ours": ("10.9.0.0/20", "10.9.0.1", "ours0", "false"),
        "host": ("", "", "", "true"),
        "bridge": ("172.17.0.0/16", "", "", "true"),
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Loaded image: a/b:1\n", ["a/b:1"]),
        ("Loaded image ID: sha256:00ff\n", ["sha256:00ff"]),
        ("x\nLoaded image: a:1\nLoaded image: b:2\n", ["a:1", "b:2"]),
        ("", []),
    ],
)
def test_parse_loaded(text: str, names: list[str]) -> None:
    assert parse_loaded(text) == names


@pytest.mark.parametrize("kind", ["DockerNetwork", "DockerImage"])
@pytest.mark.parametrize(("there", "answers"), [(False, False), (True, False), (True, True)])
def test_what_docker_holds_is_unknown_only_while_it_cannot_tell(
    host: Host, kind: str, there: bool, answers: bool
) -> None:
    if there:
        host.installed.add("docker.io")
    host.engine_answers = answers
    resource = every_kind(host)[kind]
    change = resource.check(FakeMachine(host, (resource,)))
    assert change is not None
    assert change.unknown is (there and not answers)


def test_another_failure_of_docker_is_not_called_unknown(host: Host) -> None:
    host.installed.add("docker.io")
    host.script("docker", answer=host.fails("permission denied"))
    with pytest.raises(Problem, match="permission denied"):
        every_kind(host)["DockerImage"].check(FakeMachine(host))


def test_a_network_of_another_form_is_made_anew_without_its_containers(host: Host) -> None:
    network = DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "ours0")
    machine = machine_for(host, network)
    converge(machine, network)
    host.networks["ours"]["Options"]["com.docker.network.bridge.enable_icc"] = "true"
    machine.looks.clear()
    host.script("docker", "ps", answer="c1\nc2\n")
    host.script("docker", "rm", answer="")
    assert converge(machine, network) == ["replace the Docker network ours (10.9.0.0/20)"]
    assert host.ran("docker", "rm") == [["docker", "rm", "--force", "--volumes", "c1", "c2"]]


def test_a_network_that_the_manifest_no_longer_names_goes(host: Host) -> None:
    network = DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "b")
    other = DockerNetwork("other", "10.8.0.0/20", "10.8.0.1", "c")
    machine = machine_for(host, network)
    converge(machine, network)
    machine.resources = (other,)
    machine.looks.clear()
    other.check(machine)
    network.remove(machine)
    assert host.networks == {}


def test_a_range_in_use_names_the_setting(host: Host) -> None:
    network = DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "ours0")
    machine = machine_for(host, network)
    host.script("docker", "network", "create", answer=host.fails("Pool overlaps with other one"))
    with pytest.raises(Problem, match=r"the range 10\.9\.0\.0/20 is in use") as caught:
        network.apply(machine)
    assert "[network] subnet" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "first"),
    [
        ({"reference": "quay.io/a@sha256:00"}, ["docker", "pull", "quay.io/a@sha256:00"]),
        ({"archive": "0b" * 32}, ["docker", "load", "--quiet", "--input"]),
        (
            {"context": "0a" * 32, "arguments": {"B": "2", "A": "1"}},
            ["docker", "build", "--tag", "ours:1", "--build-arg=A=1", "--build-arg=B=2", "-"],
        ),
    ],
)
def test_an_image_from_each_source(host: Host, source: dict[str, Any], first: list[str]) -> None:
    image = DockerImage("ours:1", **source)
    machine = machine_for(host, image)
    converge(machine, image)
    commands = [argv for argv in host.ran("docker") if argv[1:3] != ["image", "ls"]]
    assert commands[0][: len(first)] == first
    assert "their/image:1" not in host.images
    image.remove(machine)
    assert "ours:1" not in host.images


def test_an_archive_without_an_image_is_a_problem(host: Host) -> None:
    image = DockerImage("ours:1", archive="0b" * 32)
    machine = machine_for(host, image)
    host.script("docker", "load", answer="")
    with pytest.raises(Problem, match="holds no image"):
        image.apply(machine)


def test_an_image_that_does_not_exist_names_the_setting(host: Host) -> None:
    image = DockerImage("ours:1", reference="quay.io/a@sha256:00")
    machine = machine_for(host, image)
    host.script("docker", "pull", answer=host.fails("manifest unknown"))
    with pytest.raises(Problem, match=r"quay\.io/a@sha256:00 cannot be pulled\nmanifest unknown") as caught:
        image.apply(machine)
    assert "[image] reference" in caught.value.hint


def test_an_image_of_another_tag_is_another_image(host: Host) -> None:
    old, new = (DockerImage(f"ours:{n}", reference="quay.io/a@sha256:00") for n in (1, 2))
    machine = machine_for(host, old)
    assert converge(machine, old) == ["pull the image ours:1"]
    assert converge(machine, new) == ["pull the image ours:2"]
    old.remove(machine)
    assert "ours:1" not in host.images
    assert new.check(machine) is None


@pytest.mark.parametrize(
    "said",
    [
        "conflict: unable to delete 7d054e06865a - image is being used by running container 1a92b4f3dd84",
        "conflict: unable to remove repository reference - container 1a92b4f3dd84 is using its image",
    ],
)
def test_an_image_in_use_is_kept(host: Host, said: str) -> None:
    image = DockerImage("ours:1", reference="quay.io/a@sha256:00")
    machine = machine_for(host, image)
    converge(machine, image)
    host.script("docker", "image", "rm", answer=host.fails(said))
    assert image.remove(machine) == "a running server still uses it"
