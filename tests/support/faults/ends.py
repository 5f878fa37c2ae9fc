"""The state of a host, without what differs between two hosts that were made alike."""

from __future__ import annotations

import json
from typing import Any

from tests.support.hosts.containers import LEFT_BY_OTHERS, Host

ELSEWHERE = (
    "/etc/docker/key.json",  # the engine makes it
    "/etc/hostname",
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/etc/ssh/ssh_host_",
    "/home/",
    "/root/",
    "/var/lib/containerd/",
    "/var/lib/docker/",
    "/var/lib/dbus/",
    "/var/lib/hubwright/applied.json",  # compared by its claims
    "/var/lib/hubwright/journal.jsonl",  # a line a run
    "/var/lib/jupyterhub/",
    "/var/lib/private",
)
# Kinds whose content is made on each host, and folders whose files carry digests of it.
MADE_ON_HOSTS = ("GeneratedSecret", "KeptCertificate")
STAMPS = "/var/lib/hubwright/services/"
BYTECODE = ".pyc"  # holds the time of its source
SAID = ("served",)  # claims with identifiers that differ


def end_state(host: Host) -> dict[str, Any]:
    """Files (kind and mode, owner, content), packages, units, users, images, networks, rules, and claims."""
    found = host.snapshot("host", "managed")
    applied = json.loads(host.run("cat /var/lib/hubwright/applied.json 2>/dev/null || echo '{}'"))
    resources = applied.get("resources", [])
    random = {r["resource"]["path"] for r in resources if r["resource"]["kind"] in MADE_ON_HOSTS}
    files = {}
    for path, described in found["host"]["files"].items():
        if path.startswith((*LEFT_BY_OTHERS, *ELSEWHERE)) or path.endswith(BYTECODE):
            continue
        unlike = path in random or path.startswith(STAMPS)
        files[path] = described[:3] if unlike else described
    claims = {
        r["id"]: {**r, "claims": {k: v for k, v in r["claims"].items() if k not in SAID}} for r in resources
    }
    networks = host.run("docker network ls --format '{{.Name}} {{.Driver}}' 2>/dev/null | sort || true")
    kept = ("packages", "unit files", "running", "users", "groups")
    return {
        **{part: found["host"][part] for part in kept},
        "links": [link for link in found["host"]["links"] if not link.startswith("veth")],
        **files,
        **{f"claims of {name}": claim for name, claim in claims.items()},
        "images": host.run("docker image ls --format '{{.Repository}}:{{.Tag}}' 2>/dev/null | sort || true"),
        "networks": networks,
        "rules": found["host"]["fence"],
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Name → both states, of all that is not the same."""
    names = sorted(one.keys() | other.keys())
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}
