"""The container engine as notebooks need it: logs that end, containers that outlive it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from tests.verify.conftest import Visitor

WRITTEN = 60_000_000
MOST_KEPT = 40_000_000


@pytest.fixture
def chatty_container(host: Host, visitor: Visitor) -> Iterator[str]:
    """A container with the log of a server that has written much to it, and ended."""
    script = f"head -c {WRITTEN} /dev/zero | tr '\\\\0' x | fold -w 8000"
    log = visitor.container["HostConfig"]["LogConfig"]
    options = " ".join(f"--log-opt={key}={value}" for key, value in log["Config"].items())
    container = host.check_output(
        f"docker run --detach --network=none --log-driver={log['Type']} {options} --entrypoint=sh %s -c %s",
        visitor.container["Image"],
        script,
    )
    host.check_output("docker wait %s", container)
    yield container
    host.check_output("docker rm --force %s", container)


def test_log_of_a_chatty_container_stays_small(host: Host, chatty_container: str) -> None:
    log = host.check_output("docker inspect --format='{{.LogPath}}' %s", chatty_container)
    kept = int(host.check_output(f"cat {log}* | wc --bytes"))
    assert 1_000_000 < kept < MOST_KEPT


def test_log_of_a_server_has_limits(visitor: Visitor) -> None:
    config = visitor.container["HostConfig"]["LogConfig"]
    assert config["Type"] in ("json-file", "local")
    assert {"max-size", "max-file"} <= set(config["Config"])


def test_engine_is_told_to_leave_containers_running(host: Host) -> None:
    if host.check_output("docker info --format='{{.Swarm.LocalNodeState}}'") != "inactive":
        pytest.skip("the engine is part of a swarm, which excludes that")
    if re.search("--(live-restore|config-file)", host.check_output("ps -o args= -C dockerd")):
        pytest.skip("the engine's own command line comes first")
    assert host.check_output("docker info --format='{{.LiveRestoreEnabled}}'") == "true"
