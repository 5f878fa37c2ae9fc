"""A link of 1400 bytes from which no ICMP comes back, as in clouds and VPNs: downloads still arrive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hosts.containers import Host
from tests.support.hosts.templates import QUICK, Template
from tests.support.operators import Operator

# The router's outer link takes 1500 bytes, the one to this host 1400; it drops larger packets in silence.
WORLD = """
ip netns add router
ip netns add world
ip link add out0 mtu 1400 type veth peer name in0 mtu 1400 netns router
ip -n router link add far0 type veth peer name near0 netns world
ip address add 10.77.0.1/24 dev out0
ip link set out0 up
ip -n router address add 10.77.0.2/24 dev in0
ip -n router address add 10.88.0.1/24 dev far0
ip -n router link set in0 up
ip -n router link set far0 up
ip -n world address add 10.88.0.2/24 dev near0
ip -n world link set near0 up
ip -n world route add default via 10.88.0.1
ip netns exec router sysctl -qw net.ipv4.ip_forward=1
ip netns exec router iptables -A OUTPUT -p icmp -j DROP
ip route replace default via 10.77.0.2
mkdir -p /srv/simple/pkg
cd /srv/simple/pkg
python3 - <<'END'
import os, zipfile
with zipfile.ZipFile("pkg-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("pkg.bin", os.urandom(1 << 20))
    wheel.writestr("pkg-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: pkg\\nVersion: 1\\n")
    wheel.writestr("pkg-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
    wheel.writestr("pkg-1.dist-info/RECORD", "")
END
systemd-run --quiet --unit=index --working-directory=/srv ip netns exec world python3 -m http.server 80
until ip netns exec world ss -Hltn sport = :80 | grep -q .; do sleep 0.1; done
"""
DOWNLOAD = (
    "pip --disable-pip-version-check download --quiet --no-cache-dir --no-deps --retries=0 --timeout=5 "
    "--dest=/tmp --index-url=http://10.88.0.2/simple --trusted-host=10.88.0.2 pkg"
)


@pytest.fixture(scope="module")
def host(operator: Operator, deployed: Template) -> Iterator[Host]:
    with deployed.host(f"{operator.hub['vm']['name']}-links") as host:
        host.run(WORLD)
        with operator.changed(**QUICK):
            login = ("-H", host.login(), "-i", str(operator.key), "--accept-new-host-key")
            operator.hubwright("apply", *login)  # a copy of a host is given a certificate of its own
        yield host


@pytest.fixture(scope="module")
def image(host: Host) -> str:
    return host.run("docker image ls --format '{{.Repository}}:{{.Tag}}' hubwright/notebook").strip()


def arrives(host: Host, image: str, network: str, seconds: int = 60) -> bool:
    run = f"docker run --rm --network={network} --env=PIP_INDEX_URL= --env=PIP_CONFIG_FILE=/dev/null"
    return host.succeeds(f"{run} --entrypoint=timeout {image} {seconds} {DOWNLOAD}")


def test_pip_in_a_notebook_and_in_an_image_s_build(
    operator: Operator, host: Host, there: tuple[str, ...], image: str
) -> None:
    assert arrives(host, image, "hubwright")
    dockerfile = f"FROM {image}\\nRUN PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL= {DOWNLOAD}\\n"
    host.run(f"printf '{dockerfile}' | docker build --quiet --no-cache -")
    with operator.changed(**QUICK):
        assert operator.hubwright("apply", *there).unchanged  # no network was made again for it


def test_flushed_rules_are_missed_by_plan_and_put_back(
    operator: Operator, host: Host, there: tuple[str, ...], image: str
) -> None:
    host.run("systemctl stop hubwright-fence-repair.timer; iptables -t mangle -F")
    assert not arrives(host, image, "hubwright", 12), (
        "the link lets everything through: these tests show nothing"
    )
    with operator.changed(**QUICK):
        assert "hubwright-fence" in operator.hubwright("plan", *there, code=3).err
    host.run("systemctl start hubwright-fence-repair.service")
    assert arrives(host, image, "hubwright")
    assert arrives(host, image, "bridge")
