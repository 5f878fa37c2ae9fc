"""The order of a run on a host that serves people."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import roles
from provision.agent.channel import Channel
from provision.agent.loop import Run
from provision.agent.phases import Role, rests
from provision.agent.resources import (
    AptPackages,
    Change,
    Directory,
    DockerImage,
    DockerNetwork,
    Machine,
    Resource,
    Service,
)
from provision.agent.resources.docker.network import TRIAL
from provision.agent.state import State
from provision.deploy.bundle import RoleSteps, manifest
from provision.settings import Settings
from roles.shared.inputs import Inputs
from tests.support.fakes.host import DISTRIBUTION, Host, inputs, relocated

PACKAGES, IMAGE, FOLDER = AptPackages("p", ("p",)), DockerImage("i:1"), Directory("/d")
ENGINE, UNIT = Service("docker"), Service("ours", "[Service]")
NETWORK = DockerNetwork("n", "10.9.0.0/20", "10.9.0.1", "b")


def waiting(*table: tuple[str, tuple[str, ...], tuple[Resource, ...]]) -> dict[str, int]:
    """Role → how many of its resources wait."""
    return {name: len(rest) for name, rest in rests([Role(*row) for row in table]).items()}


def test_what_people_use_waits_and_what_a_preparatory_one_needs_does_not() -> None:
    assert waiting(
        ("base", (), (FOLDER,)),
        ("engine", ("base",), (PACKAGES, ENGINE)),
        ("fence", ("engine",), (PACKAGES, FOLDER, NETWORK)),
        ("image", ("engine",), (FOLDER, IMAGE)),
        ("hub", ("fence", "image"), (FOLDER, UNIT)),
    ) == {"base": 0, "engine": 0, "fence": 2, "image": 0, "hub": 2}


def test_a_role_of_the_operator_s_own_does_not_draw_the_hub_forward() -> None:
    table = (
        ("hub", (), (FOLDER, UNIT)),
        ("own", ("hub",), (PACKAGES, FOLDER)),
        ("more", ("own",), (IMAGE,)),
    )
    assert waiting(*table) == {"hub": 2, "own": 2, "more": 1}


class Hub:
    """A made-up host that has been applied to once. `events` are those of the last run."""

    def __init__(self, host: Host, settings: Settings) -> None:
        self.host = host
        self.events: list[dict[str, Any]] = []
        self.apply(settings)
        assert not self.statuses("failed")

    def apply(self, settings: Settings, *, image: str = "a") -> None:
        self.host.commands.clear()
        sink = io.BytesIO()
        content = manifest(settings, steps(inputs(settings), image), mode="apply")
        there = relocated(json.loads(json.dumps(content)), self.host)
        state = State(self.host.path("/var/lib/hubwright"))
        Run(there, Channel(io.BytesIO(), sink), state, DISTRIBUTION).apply()
        self.events = [json.loads(line) for line in sink.getvalue().splitlines()]

    def statuses(self, status: str) -> dict[str, str]:
        """Id → summary of the results with this status."""
        found = [event for event in self.events if event.get("status") == status]
        return {event["id"].replace(str(self.host.folder), ""): event["summary"] for event in found}

    @property
    def touched(self) -> list[str]:
        """Commands of the last run that people at work notice."""
        words = ("restart", "stop", "network")
        return [
            " ".join(argv)
            for argv in self.host.commands
            if set(argv) & set(words) and not set(argv) & {"ls", "inspect", TRIAL}
        ]


def steps(given: Inputs, image: str) -> list[RoleSteps]:
    sources = {name: replace(each, context="", reference=f"x@{image}") for name, each in given.images.items()}
    sources["notebook"] = replace(sources["notebook"], digest=image * 64)
    given = replace(given, images=sources)
    return [RoleSteps(role.name, role.needs, role.resources(given)) for role in roles.SHIPPED]


@pytest.fixture
def there(host: Host, hub: Callable[..., Settings]) -> Hub:
    return Hub(host, hub())


OTHER = "[network]\nsubnet = '10.7.0.0/20'\n[hub]\ntitle = 'Another'"


def test_an_image_that_cannot_be_had_leaves_all_that_people_use(
    there: Hub, hub: Callable[..., Settings]
) -> None:
    there.host.script("docker", "pull", answer=there.host.fails("no such image"))
    before = there.host.tree()
    there.apply(hub(OTHER), image="b")
    assert list(there.statuses("failed")) == ["docker-image:hubwright/notebook:" + "b" * 16]
    assert there.touched == []
    kept = ("etc/jupyterhub", "etc/systemd", "opt/hubwright")
    after = there.host.tree()
    assert {n: v for n, v in before.items() if n.startswith(kept)} == {
        n: v for n, v in after.items() if n.startswith(kept)
    }
    assert "the hub serves as before" in there.statuses("ok")["hub"]
    assert "docker-network:hubwright" in there.statuses("skipped")

    there.host.scripted.clear()
    there.apply(hub(OTHER), image="b")
    assert not there.statuses("failed")
    assert any(line.startswith("docker network rm") for line in there.touched)


def test_a_hub_environment_that_cannot_be_built_leaves_the_old_one_in_use(
    there: Hub, hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = there.host.folder / "opt/hubwright/current"
    before = link.readlink()
    real = Inputs.read

    def other(*arguments: Any, **named: Any) -> Inputs:
        given = real(*arguments, **named)
        return replace(given, packages="more==1 --hash=sha256:02\n")

    monkeypatch.setattr(Inputs, "read", other)
    uv = there.host.path("/opt/hubwright/installer/bin/uv")
    there.host.script(uv, answer=there.host.fails("no such package"))
    there.apply(hub(OTHER))
    assert list(there.statuses("failed")) == ["python-env:/opt/hubwright"]
    assert (link.readlink(), there.touched) == (before, [])
    there.host.scripted.clear()
    there.host.script("docker", "network", "create", answer=there.host.fails("Pool overlaps with other one"))
    there.apply(hub(OTHER))
    assert list(there.statuses("failed")) == ["docker-network:hubwright"]
    assert link.readlink() == before, "it is built, and the link waits for all others"


def test_a_failure_in_the_switch_names_the_units_that_are_down(
    there: Hub, hub: Callable[..., Settings]
) -> None:
    def breaks() -> str:
        there.host.units["jupyterhub"].active = "failed"
        raise there.host.fails("a dependency failed")

    there.host.script("systemctl", "restart", "jupyterhub.service", answer=breaks)
    there.apply(hub("[hub]\ntitle = 'Another'"))
    assert "people are affected: jupyterhub is failed" in there.statuses("failed")["hub"]


def test_a_network_that_cannot_be_made_is_put_back(there: Hub, hub: Callable[..., Settings]) -> None:
    """A range within the old one cannot be tried beside it."""
    real, tried = there.host.networks, []

    def create() -> str:
        tried.append(len(real))
        if len(tried) == 1:
            raise there.host.fails("Pool overlaps with other one")
        real["hubwright"] = {"Name": "again"}
        return ""

    there.host.script("docker", "network", "create", answer=create)
    there.apply(hub("[network]\nsubnet = '172.30.0.0/24'"))
    assert "is in use on this host" in there.statuses("failed")["docker-network:hubwright"]
    assert there.host.networks == {"hubwright": {"Name": "again"}}
    assert ["systemctl", "start", "hubwright-keeper.service"] in there.host.commands


def test_all_that_cannot_be_prepared_is_named_in_one_run(
    there: Hub, hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(self: Directory, machine: Machine) -> Change | None:  # noqa: ARG001
        raise ValueError("cannot be checked")

    monkeypatch.setattr(Directory, "check", breaks)
    there.apply(hub(OTHER))
    assert there.touched == []
    failed = [id_ for id_ in there.statuses("failed") if id_.startswith("directory:")]
    assert {"directory:/opt/hubwright", "directory:/etc/jupyterhub/tls"} & set(failed)
    assert "the hub serves as before" in there.statuses("ok")["hub"]


def test_a_run_whose_driver_has_gone_looks_at_nothing_more(there: Hub, hub: Callable[..., Settings]) -> None:
    gone = Channel.emit

    def emit(self: Channel, event: Any) -> None:
        gone(self, event)
        self.gone.set()

    there.host.script("docker", "pull", answer=there.host.fails("no such image"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Channel, "emit", emit)
        there.apply(hub(OTHER), image="b")
    assert "hub" not in {**there.statuses("ok"), **there.statuses("failed")}
    assert there.touched == []


def test_a_role_that_no_other_needs_does_not_hold_up_the_others(
    there: Hub, hub: Callable[..., Settings]
) -> None:
    there.host.script("docker", "pull", answer=there.host.fails("no such image"))
    there.host.images = {name for name in there.host.images if "graphite" not in name}
    there.apply(hub("[hub]\ntitle = 'Another'"))
    assert [id_.partition(":")[0] for id_ in there.statuses("failed")] == ["docker-image"]
    assert list(there.statuses("skipped")) == ["service:hubwright-graphite"]
    assert "file:/etc/jupyterhub/hub.json" in there.statuses("changed")
    assert "service:jupyterhub" in there.statuses("changed")
    assert "all of it runs and answers" in there.statuses("ok")["hub"]
