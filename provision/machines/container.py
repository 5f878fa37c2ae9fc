"""The machine of Vagrant's docker provider: a container that is a whole host."""

from __future__ import annotations

import json
from dataclasses import dataclass

from provision.errors import HubwrightError
from provision.machines import forward
from provision.machines.paths import environment_file, id_file, key
from provision.settings import Settings
from provision.tools.process import HERE, ProgramError, docker, run

LABEL = "hubwright.state"
SSH = 22


@dataclass(frozen=True)
class Container:
    """What Docker says of such a machine; ports are on 127.0.0.1 of this computer."""

    running: bool
    ssh_port: int | None
    forwarded: tuple[tuple[int, int], ...]  # port here, port in the machine; without SSH's


def parse(text: str) -> Container:
    """The first of what `docker container inspect` printed."""
    found = json.loads(text)[0]
    bindings = found["HostConfig"].get("PortBindings") or {}
    ports = [
        (int(place["HostPort"]), int(port.partition("/")[0]))
        for port, places in bindings.items()
        for place in places or ()
    ]
    ssh = next((here for here, there in ports if there == SSH), None)
    return Container(found["State"]["Running"], ssh, tuple(sorted(pair for pair in ports if pair[1] != SSH)))


def find(settings: Settings) -> Container | None:
    notes = id_file(settings, "docker")
    if not notes.exists():
        return None
    try:
        return parse(docker("container", "inspect", notes.read_text().strip()))
    except ProgramError as error:
        if "no such container" in error.output.lower():
            return None
        raise


def make_key(settings: Settings) -> None:
    """A key of this machine's own, and the variable that brings its public half into the container."""
    private = key(settings)
    if not private.exists():
        private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", settings.vm.name, "-f", str(private)])
    public = private.with_suffix(".pub").read_text().strip()
    environment_file(settings).write_text(f"HUBWRIGHT_AUTHORIZED_KEY={public}\n")


def remove_orphans(settings: Settings) -> None:
    """Containers of ours that Vagrant knows nothing of: it was killed while it made them."""
    for found in docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={settings.state}").split():
        docker("rm", "--force", "--volumes", found)


def refuse_taken_name(name: str) -> None:
    if docker("ps", "--all", "--quiet", "--filter", f"name=^/{name}$").strip():
        raise HubwrightError(
            f"a container named {name} exists and is not ours",
            where=HERE,
            hint="choose another name: [vm] name, in site.toml",
        )


def refuse_other_ports(settings: Settings) -> None:
    """Docker fixes a container's ports when it makes it."""
    container = find(settings)
    wanted = tuple(sorted(pair for pair in forward.ports(settings) if pair[1] != SSH))
    if container is None or container.forwarded == wanted:
        return
    raise HubwrightError(
        f"its ports are those of when it was made ({_words(container.forwarded)}); the settings now say "
        f"{_words(wanted)}",
        where=f"the machine {settings.vm.name}",
        hint="set [vm] port and [hub] port back, or `hubwright destroy` and `hubwright up`",
    )


def _words(ports: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{here} to {there}" for here, there in ports)
