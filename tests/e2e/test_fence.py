"""A notebook reaches its hub, and nothing of the host, of the cloud, or of a LAN that is blocked.

The cloud and the LAN are a name space on the host, with listeners that the host forwards to. Refused
addresses are tried without the fence, too. The tests tell one story and stand in its order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.hosts.containers import Host
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import PROJECT, Operator

FENCE = "hubwright-fence"
GATEWAY = "172.30.0.1"
API = f"{GATEWAY}:8081"
METADATA, LAN = "169.254.169.254", "10.99.0.2"
REACH = (PROJECT / "tests" / "verify" / "probes" / "reach.py").read_text(encoding="utf-8")

CLOUD = f"""
ip netns add cloud
ip link add cloud0 type veth peer name inner netns cloud
ip address add 169.254.169.1/24 dev cloud0
ip address add 10.99.0.1/24 dev cloud0
ip link set cloud0 up
ip -n cloud address add {METADATA}/24 dev inner
ip -n cloud address add {LAN}/24 dev inner
ip -n cloud link set inner up
ip -n cloud route add default via 10.99.0.1
cat >/run/cloud.py <<'END'
import socket, threading
for port in (53, 80):
    threading.Thread(target=lambda listener: [listener.accept() for _ in iter(int, 1)],
                     args=[socket.create_server(("", port))]).start()
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(("", 53))
while True:
    resolver.sendto(b"answer", resolver.recvfrom(512)[1])
END
systemd-run --quiet --unit=cloud ip netns exec cloud python3 /run/cloud.py
"""
ASK_BY_UDP = """
import socket, sys
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.settimeout(3)
asked.sendto(b"question", (sys.argv[1], 53))
print(asked.recv(512).decode())
"""
# systemd lets Docker start three times a minute. A start of the fence returns once it is up.
START = f"systemctl reset-failed docker; systemctl start docker.socket docker; systemctl start {FENCE}"
RESTART = f"systemctl reset-failed docker; systemctl restart docker; systemctl start {FENCE}"
STOP = "systemctl stop docker.socket docker"
# Try refused addresses until told to stop. Print how often each was tried, and which ones answered.
KNOCK = """
import os, socket, sys, time
rounds, answered, began = 0, set(), time.monotonic()
while not os.path.exists("/run/enough"):
    rounds += 1
    for target in {*sys.argv[1:]} - answered:
        host, port = target.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=0.2).close()
            answered.add(target)
        except OSError:
            pass
print(rounds / (time.monotonic() - began), *answered, flush=True)
"""


@pytest.fixture(scope="module")
def host(operator: Operator, deployed: Template) -> Iterator[Host]:
    with deployed.host(f"{operator.hub['vm']['name']}-fence") as host:
        yield host


@pytest.fixture(scope="module")
def notebook(operator: Operator, host: Host, there: tuple[str, ...]) -> str:
    """A container of the visitors' image on their network."""
    with operator.changed(**QUICK):
        operator.hubwright("apply", *there)
    host.run(CLOUD)
    image = host.run("docker image ls --format '{{.Repository}}:{{.Tag}}' hubwright/notebook").strip()
    run = "docker run --detach --name=notebook --network=hubwright --cap-drop=ALL --entrypoint=sleep"
    host.run(f"{run} {image} infinity")
    return "notebook"


@pytest.fixture(scope="module")
def address(host: Host) -> str:
    """The host's own address towards the world."""
    return host.run("hostname --all-ip-addresses").split()[0]


def program(host: Host, surroundings: str, text: str, *arguments: str) -> str:
    """The output of a Python program, run by `surroundings`, a command that reads it."""
    return host.run(f"{surroundings} {' '.join(arguments)} <<'END'\n{text}\nEND\n")


def reached(host: Host, container: str, *targets: str) -> set[str]:
    return set(json.loads(program(host, f"docker exec --interactive {container} python -", REACH, *targets)))


def by_host(host: Host, *targets: str) -> set[str]:
    return set(json.loads(program(host, "python3 -", REACH, *targets)))


def by_neighbour(host: Host, *targets: str) -> set[str]:
    return set(json.loads(program(host, "ip netns exec cloud python3 -", REACH, *targets)))


def rules(host: Host) -> list[str]:
    """The fence's rules, without those of devices that lead out of the host: these tests bring one."""
    found: list[str] = host.snapshot("host")["host"]["fence"]
    return [rule for rule in found if not rule.startswith("-A HUBWRIGHT-BEYOND ")]


@contextmanager
def unfenced(host: Host) -> Iterator[None]:
    host.run(f"systemctl stop {FENCE}")
    assert rules(host) == []
    try:
        yield
    finally:
        host.run(f"systemctl start {FENCE}")


@contextmanager
def closed(operator: Operator, there: tuple[str, ...], *ranges: str) -> Iterator[None]:
    with operator.changed(**QUICK, network={"blocked": ranges}):
        operator.hubwright("apply", *there)
        yield
    with operator.changed(**QUICK):
        operator.hubwright("apply", *there)


@contextmanager
def knocking(host: Host, container: str, *targets: str) -> Iterator[set[str]]:
    """Try from the notebook's name space during the block, by a program that does not end with Docker.

    Afterwards the set holds the addresses that ever answered.
    """
    answered: set[str] = set()
    pid = host.run(f"docker inspect --format='{{{{.State.Pid}}}}' {container}").strip()
    host.run(f"cat >/run/knock.py <<'END'\n{KNOCK}\nEND\nrm --force /run/enough /run/answered")
    host.run(
        "systemd-run --quiet --unit=knock --property=StandardOutput=file:/run/answered "
        f"nsenter --net --target={pid} python3 /run/knock.py {' '.join(targets)}"
    )
    try:
        yield answered
    finally:
        host.run("touch /run/enough; while systemctl --quiet is-active knock; do sleep 0.1; done")
    pace, *found = host.run("cat /run/answered").split()
    assert float(pace) > 1, "rounds in a second; a door that says nothing costs each 0.2 s"
    answered.update(found)


def test_of_its_host_a_notebook_reaches_the_hub_alone(host: Host, notebook: str, address: str) -> None:
    at = (GATEWAY, address)
    doors = {API} | {f"{each}:{port}" for each in at for port in (80, 443)}
    daemons = {f"{each}:22" for each in at}
    assert by_host(host, *doors, *daemons) == doors | daemons
    assert reached(host, notebook, *doors, *daemons) == doors
    with unfenced(host):
        assert reached(host, notebook, *daemons) == daemons
    assert reached(host, notebook, *doors, *daemons) == doors


def test_the_cloud_s_metadata_is_out_of_reach_and_its_resolver_is_not(host: Host, notebook: str) -> None:
    metadata, resolver = f"{METADATA}:80", f"{METADATA}:53"
    assert by_host(host, metadata) == {metadata}
    assert reached(host, notebook, metadata, resolver, f"{LAN}:80") == {resolver, f"{LAN}:80"}
    ask = "docker exec --interactive notebook python -"
    assert program(host, ask, ASK_BY_UDP, METADATA).strip() == "answer"
    with unfenced(host):
        assert reached(host, notebook, metadata) == {metadata}
    assert reached(host, notebook, metadata) == set()


@pytest.mark.usefixtures("notebook")
def test_the_api_is_closed_to_neighbours(host: Host) -> None:
    door = f"{GATEWAY}:443"
    assert by_neighbour(host, API, door) == {door}
    with unfenced(host):
        assert by_neighbour(host, API, door) == {API, door}


def test_names_resolve_in_a_notebook(host: Host, notebook: str) -> None:
    """Names resolve as on the host, through Docker's own resolver."""
    name = (
        host.run("apt-get indextargets --format '$(SITE)' | head -n 1")
        .strip()
        .partition("://")[2]
        .split("/")[0]
    )
    look = f"import socket; print(socket.gethostbyname('{name}'))"
    assert host.run(f'docker exec {notebook} python -c "{look}"') == host.run(f'python3 -c "{look}"')


def test_a_closed_range_is_out_of_reach_but_for_names(
    operator: Operator, host: Host, there: tuple[str, ...], notebook: str
) -> None:
    lan, resolver = f"{LAN}:80", f"{LAN}:53"
    assert reached(host, notebook, lan) == {lan}
    with closed(
        operator, there, "10.99.0.0/24", "172.16.0.0/12"
    ):  # the second includes the notebooks' own network
        assert by_host(host, lan) == {lan}
        assert reached(host, notebook, lan, resolver, API, f"{GATEWAY}:443") == {
            resolver,
            API,
            f"{GATEWAY}:443",
        }
        assert operator.hubwright("apply", *there).unchanged
    assert reached(host, notebook, lan) == {lan}


def test_no_moment_is_without_the_fence(
    operator: Operator, host: Host, there: tuple[str, ...], notebook: str
) -> None:
    """The fence holds while settings change, and while Docker restarts or is stopped."""
    targets = (f"{METADATA}:80", f"{GATEWAY}:22")
    with knocking(host, notebook, *targets) as answered:
        with closed(operator, there, "10.99.0.0/24"):
            host.run(f"for _ in 1 2 3 4 5; do systemctl restart {FENCE}; done")
        host.run(RESTART)
        host.run(f"{STOP}; sleep 1; {START}")
    assert answered == set()
    with knocking(host, notebook, *targets) as answered, unfenced(host):
        host.run("sleep 1")
    assert answered == set(targets)


def test_it_outlives_docker(host: Host, notebook: str) -> None:
    before = rules(host)
    assert before
    for command in (RESTART, STOP, START):  # notebooks go on without the engine
        host.run(command)
        assert rules(host) == before, command
    assert reached(host, notebook, f"{METADATA}:80", f"{GATEWAY}:22", API) == {API}


def test_rules_that_are_gone_are_noticed(
    operator: Operator, host: Host, there: tuple[str, ...], notebook: str
) -> None:
    before = rules(host)
    for flush in ("HUBWRIGHT-OUT", "INPUT", "DOCKER-USER"):
        host.run(f"iptables --flush {flush}")
        with operator.changed(**QUICK):
            assert f"restart {FENCE} (its result is gone)" in operator.hubwright("plan", *there, code=3).err
            operator.hubwright("apply", *there)
            assert operator.hubwright("apply", *there).unchanged
        assert rules(host) == before
    host.run(f"iptables --flush; {RESTART}")  # as people restore rules that they have flushed
    assert rules(host) == before
    assert reached(host, notebook, f"{METADATA}:80", f"{GATEWAY}:22", f"{LAN}:80", API) == {f"{LAN}:80", API}


def test_it_is_there_after_a_boot(host: Host, notebook: str) -> None:
    before = rules(host)
    host.cut_power()
    host.wait_for_hub()
    assert rules(host) == before
    host.run(f"{CLOUD}\ndocker start {notebook}")
    metadata = f"{METADATA}:80"
    assert by_host(host, metadata) == {metadata}
    assert reached(host, notebook, metadata, API) == {API}


def test_it_goes_with_the_hub(operator: Operator, host: Host, there: tuple[str, ...], notebook: str) -> None:
    host.run("systemctl stop docker")  # its socket starts it again
    assert rules(host)
    operator.hubwright("destroy", *there, "--yes")
    assert rules(host) == []
    assert notebook not in host.run("! command -v docker || docker ps --all --format '{{.Names}}'").split()
    assert not host.succeeds(f"systemctl cat {FENCE} || ls /opt/hubwright")
