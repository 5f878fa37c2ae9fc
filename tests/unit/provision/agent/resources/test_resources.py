"""Every kind of resource sees, makes and removes its own, and leaves the rest alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.agent.resources import (
    KINDS,
    AptPackages,
    AptSources,
    CondaPrefix,
    CondaPython,
    Directory,
    DockerImage,
    DockerNetwork,
    DockerVolume,
    EngineService,
    EngineSettings,
    File,
    FreePort,
    GeneratedSecret,
    JsonKeys,
    KeptCertificate,
    KeptOpen,
    Problem,
    PythonEnv,
    ReachableFromContainer,
    ResolvableName,
    Resource,
    ServableImage,
    Service,
    Timer,
    TrustedCertificate,
    UsableEngine,
    User,
    from_json,
)
from tests.support.fakes.host import LOCK, Host
from tests.support.fakes.machine import FakeMachine, converge, machine_for

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CONDITIONS = {
    "FreePort",
    "KeptOpen",
    "ReachableFromContainer",
    "ResolvableName",
    "UsableEngine",
}  # those that only hold or do not, and are never made


def every_kind(host: Host) -> dict[str, Resource]:
    """One of each kind, as in a manifest."""
    host.images.add("theirs/image:1")
    return {
        "AptPackages": AptPackages("docker", ("docker.io", "iptables"), unless=("dockerd", "docker")),
        "AptSources": AptSources({"debian": "http://mirror.example/debian"}),
        "CondaPrefix": CondaPrefix(host.path("/opt/conda"), (("any", "https://x.example/a.sh", "0a" * 32),)),
        "CondaPython": CondaPython(
            host.path("/opt"), host.path("/opt/conda"), ("conda-forge",), "3.13", 24, edition="1"
        ),
        "Directory": Directory(host.path("/var/lib/hub"), mode=0o700, owner="nobody", group="nobody"),
        "DockerImage": DockerImage("ours/image:1", context="0a" * 32, arguments={"BASE": "ubuntu"}),
        "DockerNetwork": DockerNetwork("ours", "10.9.0.0/20", "10.9.0.1", "ours0"),
        "DockerVolume": DockerVolume("ours"),
        "EngineService": EngineService("ours", "[Service]\nExecStart=/bin/true\n"),
        "EngineSettings": EngineSettings(host.path("/etc/docker/daemon.json"), {"live-restore": True}),
        "File": File(host.path("/etc/ours.conf"), "a = 1\n", mode=0o640),
        "FreePort": FreePort(80, "ours"),
        "GeneratedSecret": GeneratedSecret(host.path("/etc/token"), "TOKEN"),
        "JsonKeys": JsonKeys(host.path("/etc/theirs/daemon.json"), {"a": {"b": "c"}, "d": True}),
        "KeptCertificate": KeptCertificate(
            host.path("/etc/tls.pem"),
            host.path("/opt/keep_certificate.py"),
            ("self-signed", "--path", host.path("/etc/tls.pem")),
        ),
        "KeptOpen": KeptOpen("fence", "ours0"),
        "PythonEnv": PythonEnv(host.path("/opt"), LOCK, "uv==1", {"package.json": "{}"}),
        "ReachableFromContainer": ReachableFromContainer("keeper", "172.30.0.1", 8081, "the hub"),
        "ResolvableName": ResolvableName("hub.example.org", "a certificate"),
        "ServableImage": ServableImage("theirs/image:1", 1 << 30, 1.0, 100),
        "Service": Service("ours", "[Service]\nExecStart=/bin/true\n", ready="http://127.0.0.1:1/"),
        "Timer": Timer("ours", "[Timer]\nOnCalendar=daily\n", "[Service]\nExecStart=/bin/true\n"),
        "TrustedCertificate": TrustedCertificate("our-ca", PEM),
        "UsableEngine": UsableEngine("docker"),
        "User": User("ours", home="/var/lib/hub", groups=("nobody",)),
    }


def test_no_kind_is_forgotten_here(host: Host) -> None:
    assert set(every_kind(host)) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - CONDITIONS))
def test_a_thing_is_made_once_and_leaves_no_trace(host: Host, kind: str) -> None:
    resource = every_kind(host)[kind]
    machine = machine_for(host, resource)
    Path(host.path("/opt/keep_certificate.py")).touch()
    before, users, groups = host.tree(), dict(host.users), {k: list(v) for k, v in host.groups.items()}
    assert len(converge(machine, resource)) == 1
    made = host.tree()
    machine.looks.clear()
    assert converge(machine, resource) == []
    assert host.tree() == made
    machine.looks.clear()
    assert resource.remove(machine) is None
    machine.looks.clear()
    assert resource.check(machine) is not None
    assert resource.remove(machine) is None  # a removal that was cut short is done again
    ours = {name for name in host.tree() if not name.startswith("var/lib/hubwright")}
    assert ours - {"usr", "usr/local", "usr/local/share", "usr/local/share/ca-certificates"} == set(before)
    assert (host.users, host.groups) == (users, groups)


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_only_reads(host: Host, kind: str) -> None:
    resource = every_kind(host)[kind]
    machine = machine_for(host, resource)
    before = host.tree()
    resource.check(machine)
    assert host.tree() == before
    assert machine.known == {}
    looks = {"dpkg-query", "systemctl", "docker", "ip", "apt-get"}
    assert {argv[0] for argv in host.commands} <= looks
    words = {"-W", "show", "network", "image", "volume", "-json", "install"}
    assert {argv[1] for argv in host.commands} <= words
    assert all("--simulate" in argv for argv in host.ran("apt-get"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_travels_as_json(host: Host, kind: str) -> None:
    resource = every_kind(host)[kind]
    copy = from_json(json.loads(json.dumps(resource.to_json())))
    assert copy == resource
    assert copy.fingerprint == resource.fingerprint
    assert from_json({**resource.to_json(), "a_field_of_tomorrow": 1}) == resource


# --- users and certificates -----------------------------------------------------------------------


def test_a_user_who_was_there_only_leaves_the_groups_that_we_added(host: Host) -> None:
    host.users["hub"], host.groups["hub"], host.groups["extra"] = 50, [], ["hub"]
    user, machine = User("hub", "/x", groups=("nobody", "extra")), FakeMachine(host)
    assert converge(machine, user) == ["add hub to nobody"]
    user.remove(machine)
    assert "hub" in host.users
    assert (host.groups["nobody"], host.groups["extra"]) == ([], ["hub"])


def test_a_user_whose_process_still_runs_is_kept(host: Host) -> None:
    user, machine = User("hub", "/x"), FakeMachine(host)
    converge(machine, user)
    host.script("userdel", answer=host.fails("userdel: user hub is currently used by process 1", code=8))
    assert user.remove(machine) == "a process of it still runs"
    host.script("userdel", answer=host.fails("userdel: cannot lock /etc/passwd", code=1))
    with pytest.raises(Problem, match="cannot lock"):
        user.remove(machine)


def test_a_certificate_is_trusted_once_it_is_in_the_bundle(host: Host) -> None:
    certificate, machine = TrustedCertificate("ca", PEM), FakeMachine(host)
    host.script("update-ca-certificates", answer="")  # does nothing
    certificate.apply(machine)
    assert certificate.check(machine) is not None


def test_a_certificate_of_a_run_that_was_cut_short_still_goes(host: Host) -> None:
    certificate, machine = TrustedCertificate("ca", PEM), FakeMachine(host)
    host.script("update-ca-certificates", answer=OSError("killed"))
    with pytest.raises(OSError, match="killed"):
        certificate.apply(machine)
    host.scripted.clear()
    assert len(converge(machine, certificate)) == 1
    certificate.remove(machine)
    assert list(Path(host.path("/usr/local/share/ca-certificates")).iterdir()) == []
