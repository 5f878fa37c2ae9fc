"""Docker's networks."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_network
from typing import Any

from ..base import Change, CommandFailed, Machine, Problem, Resource
from ..network import ranges
from .engine import ask, unless_unknown

TRIAL, TRIAL_BRIDGE = "hubwright.trial", "hubwright-try"  # a bridge's name has 15 letters at most


@dataclass(frozen=True)
class DockerNetwork(Resource):
    """A bridge whose containers reach the host's address on it and the outside, but not each other.

    `held_by`: units that would create it again while it is replaced; they are stopped first.
    """

    name: str
    subnet: str
    gateway: str
    bridge: str
    held_by: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"docker-network:{self.name}"

    def check_possible(self, machine: Machine) -> None:
        found = unless_unknown(lambda: networks(machine, self.name))
        if found is None or found.get(self.name) != self._wanted:
            self._require_free_range(machine)

    def _require_free_range(self, machine: Machine) -> None:
        """Raise Problem when the range hides addresses that this host reaches in another way."""
        others = unless_unknown(lambda: _all_ranges(machine)) or []
        ours = (self.name, TRIAL)  # the latter of a killed run
        own = {self.bridge, *(bridge for name, bridge, _ in others if name in ours)}
        routes = [use for use in ranges.uses(machine) if use.device not in own]
        engines = [
            ranges.Use(IPv4Network(range_), f"Docker's network {name}")
            for name, _, range_ in others
            if name not in ours
        ]
        there = shutil.which("dockerd") or shutil.which("docker")
        ranges.require_free(
            self.subnet, [*engines, *routes, *([] if there else ranges.of_an_engine_to_come(routes))]
        )

    def check(self, machine: Machine) -> Change | None:
        self.check_possible(machine)
        found = unless_unknown(lambda: networks(machine, self.name))
        if found is None:
            return Change(f"create the Docker network {self.name}", unknown=True)
        if self.name not in found:
            return Change(f"create the Docker network {self.name} ({self.subnet})")
        if found[self.name] != self._wanted:
            return Change(f"replace the Docker network {self.name} ({self.subnet})")
        return None

    @property
    def switches(self) -> bool:
        return True

    def prepare(self, machine: Machine) -> None:
        """Have the engine make a network of the new range and remove it: it may refuse the range."""
        present = networks(machine, self.name).get(self.name)
        if present and not _overlap(present[0], self.subnet):
            _remove_trial(machine)  # of a killed run
            try:
                self._create(machine, replace(self, name=TRIAL, bridge=TRIAL_BRIDGE).create)
            finally:
                _remove_trial(machine)

    def apply(self, machine: Machine) -> None:
        present = networks(machine, self.name).get(self.name)
        if present:
            self._delete(machine)
        machine.claim(self, created=True)
        try:
            self._create(machine, self.create)
        except Problem:
            if present:  # its servers are gone, but the hub can serve again
                subnet, gateway, bridge, _ = present
                before = replace(self, subnet=subnet, gateway=gateway, bridge=bridge or self.bridge)
                with contextlib.suppress(CommandFailed):
                    machine.run(before.create)
                self._hold_again(machine)
            raise
        finally:
            machine.invalidate("docker-networks")

    def _create(self, machine: Machine, command: list[str]) -> None:
        try:
            machine.run(command)
        except CommandFailed as failure:
            if "overlaps" not in failure.output:
                raise
            raise Problem(
                f"the range {self.subnet} is in use on this host: {failure.output.strip()}",
                "choose another one in [network] subnet",
            ) from None

    def remove(self, machine: Machine) -> str | None:
        if not machine.claims(self).get("created") or not shutil.which("docker"):
            return None
        machine.invalidate("docker-networks")  # an earlier answer lacks what is no longer wanted
        _remove_trial(machine)
        if self.name in networks(machine, self.name):
            self._delete(machine)
            machine.invalidate("docker-networks")
        return None

    def generalize(self, machine: Machine) -> str | None:
        """Remove visitors' servers."""
        there = shutil.which("docker") and self.name in networks(machine, self.name)
        if there:
            self._let_go(machine)
        return "take away visitors' servers" if there and self._remove_attached(machine) else None

    @property
    def create(self) -> list[str]:
        """The command that creates it."""
        return [
            *("docker", "network", "create", "--driver", "bridge"),
            *("--subnet", self.subnet, "--gateway", self.gateway),
            *("--opt", f"com.docker.network.bridge.name={self.bridge}"),
            *("--opt", "com.docker.network.bridge.enable_icc=false", self.name),
        ]

    @property
    def _wanted(self) -> tuple[str, str, str, str]:
        return (self.subnet, self.gateway, self.bridge, "false")

    def _delete(self, machine: Machine) -> None:
        """Remove it with the notebook servers on it: a container cannot outlive its network."""
        self._let_go(machine)
        self._remove_attached(machine)
        machine.run(["docker", "network", "rm", self.name])

    def _let_go(self, machine: Machine) -> None:
        for unit in (f"{name}.service" for name in self.held_by):
            if "LoadState=loaded" in machine.run(["systemctl", "show", "--property=LoadState", unit]):
                machine.run(["systemctl", "stop", unit])
        if self.held_by:
            machine.invalidate("systemd")

    def _hold_again(self, machine: Machine) -> None:
        """Start what `_let_go` has stopped."""
        for unit in (f"{name}.service" for name in self.held_by):
            if "LoadState=loaded" in machine.run(["systemctl", "show", "--property=LoadState", unit]):
                with contextlib.suppress(CommandFailed):
                    machine.run(["systemctl", "start", unit])
        machine.invalidate("systemd")

    def _remove_attached(self, machine: Machine) -> bool:
        attached = machine.run(
            ["docker", "ps", "--all", "--quiet", "--filter", f"network={self.name}"]
        ).split()
        if attached:
            machine.run(["docker", "rm", "--force", "--volumes", *attached])
        return bool(attached)


def _remove_trial(machine: Machine) -> None:
    if TRIAL in ask(machine, ["docker", "network", "ls", "--format", "{{.Name}}"]).split():
        machine.run(["docker", "network", "rm", TRIAL])


def _overlap(one: str, other: str) -> bool:
    try:
        return ip_network(one).overlaps(ip_network(other))
    except (TypeError, ValueError):  # of two families, or none at all
        return False


def networks(machine: Machine, name: str) -> dict[str, tuple[str, str, str, str]]:
    """Name → subnet, gateway, bridge, and whether containers reach each other; of `name` and all wanted."""
    if not shutil.which("docker"):
        return {}
    return machine.cached("docker-networks", lambda: _read_networks(machine, name))


def _read_networks(machine: Machine, name: str) -> dict[str, tuple[str, str, str, str]]:
    names = sorted({name, *(peer.name for peer in machine.peers(DockerNetwork))})
    present = set(ask(machine, ["docker", "network", "ls", "--format", "{{.Name}}"]).split())
    wanted = [name for name in names if name in present]
    return parse_networks(ask(machine, ["docker", "network", "inspect", *wanted])) if wanted else {}


def _all_ranges(machine: Machine) -> list[tuple[str, str, str]]:
    """See `parse_ranges`; nothing without an engine."""
    if not shutil.which("docker"):
        return []
    ids = ask(machine, ["docker", "network", "ls", "--quiet"]).split()
    return parse_ranges(ask(machine, ["docker", "network", "inspect", *ids])) if ids else []


def parse_ranges(text: str) -> list[tuple[str, str, str]]:
    """Name, bridge and range of each network that has an IPv4 range; `text`: see `parse_networks`."""
    found = []
    for network in json.loads(text):
        short = f"br-{network.get('Id', '')[:12]}"
        bridge = (network["Options"] or {}).get("com.docker.network.bridge.name", short)
        for pool in network["IPAM"]["Config"] or []:
            if "." in pool.get("Subnet", ""):
                found.append((network["Name"], bridge, pool["Subnet"]))
    return found


def parse_networks(text: str) -> dict[str, tuple[str, str, str, str]]:
    """See `networks`; `text` is what `docker network inspect` prints."""
    found = {}
    for network in json.loads(text):
        pools: list[dict[str, Any]] = network["IPAM"]["Config"] or [{}]
        options = network["Options"] or {}
        found[network["Name"]] = (
            pools[0].get("Subnet", ""),
            pools[0].get("Gateway", ""),
            options.get("com.docker.network.bridge.name", ""),
            options.get("com.docker.network.bridge.enable_icc", "true"),
        )
    return found
