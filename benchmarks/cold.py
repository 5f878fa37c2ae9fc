"""A first apply of everything beside a plain shell script: `.venv/bin/python -m benchmarks.cold` (minutes).

Every round takes two bare hosts, one for each, so that other work of this computer slows both. Both are sent
the same image archives over SSH, fetch the same packages, and end when the same hub answers a visitor.
"""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import statistics
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.machines import Bench, bench
from benchmarks.timing import WIDTH, conditions, run, say, timed
from provision.agent.resources import Directory, File, JsonKeys, Resource, Service, Timer, TrustedCertificate
from provision.deploy import apply
from provision.report.reporter import Reporter
from provision.settings import Settings, load
from provision.tools.project import PROJECT
from roles.shared import paths
from tests.support.hosts.containers import Host, bare_host
from tests.support.visitor import visit

ROUNDS = 3
PLAIN = Path(__file__).with_name("plain.sh")


def main() -> None:
    conditions()
    with bench(python={"provider": "system"}) as here:
        settings = load(here.config)
        folder = here.config.with_name("plain")
        lay_out(settings, folder)
        found: dict[str, list[float]] = {"hubwright": [], "plain": []}
        ways: dict[str, Callable[[Host], float]] = {
            "hubwright": lambda host: with_hubwright(here, host),
            "plain": lambda host: with_plain(here, host, folder),
        }
        for _ in range(ROUNDS):
            for name, way in ways.items():
                with bare_host(here.operator, f"{settings.vm.name}-{name}") as host:
                    found[name].append(way(host))
                    seen = asyncio.run(visit(host.url, "print(6 * 7)"))
                    assert seen["printed"] == "42\n", seen
        say("a first `hubwright apply` of everything", found["hubwright"])
        say("a plain shell script with the same steps", found["plain"])
        ratios = [ours / theirs for ours, theirs in zip(found["hubwright"], found["plain"], strict=True)]
        words = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{'apply / script, round by round':<{WIDTH}} {statistics.median(ratios):6.2f}   ({words})")


def with_hubwright(here: Bench, host: Host) -> float:
    there = ["-H", host.login(), "-i", str(here.operator.key), "--accept-new-host-key"]
    known_hosts = {"HUBWRIGHT_KNOWN_HOSTS": str(here.operator.known_hosts)}
    return timed([*here.hubwright, "apply", *there], {**here.operator.environment, **known_hosts})


def with_plain(here: Bench, host: Host, folder: Path) -> float:
    """Pack, send and run the script by one pipe, as its author would. Returns the seconds it took."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    login = ["-i", str(here.operator.key), "-p", str(host.ssh_port), *options, "vagrant@127.0.0.1"]
    remote = (
        "mkdir /tmp/plain && tar -x -C /tmp/plain && sudo bash /tmp/plain/plain.sh && sudo rm -r /tmp/plain"
    )
    pack = shlex.join(["tar", "--create", "--dereference", "--directory", str(folder), "."])
    began = time.monotonic()
    run(["bash", "-o", "pipefail", "-c", f"{pack} | {shlex.join(['ssh', *login, remote])}"])
    return time.monotonic() - began


def lay_out(settings: Settings, folder: Path) -> None:
    """Make the folder that plain.sh runs in, of the very resources that an apply uses."""
    folder.mkdir()
    sources, blobs = apply.image_sources(settings, Reporter(quiet=True))
    roles = apply.steps(settings, sources)
    resources = [resource for role in roles for resource in role.resources]
    with tarfile.open(folder / "tree.tar", "w") as tree:
        for resource in resources:
            for entry, content in entries(resource):
                tree.addfile(entry, io.BytesIO(content))
    for name, source in sources.items():
        blob = blobs.get(source.archive)
        assert isinstance(blob, Path), "this needs images that are built here and sent"
        (folder / f"{name}.tar").symlink_to(blob)
    locks = PROJECT / "roles" / "locks"
    for lock in ("hub.txt", "node.txt", "uv.txt", "package.json", "package-lock.json"):
        (folder / lock).symlink_to(locks / lock)
    (folder / "plain.sh").symlink_to(PLAIN)
    network = settings.network
    facts = {
        "SUBNET": network.subnet,
        "GATEWAY": network.gateway,
        "BRIDGE": paths.BRIDGE,
        "PIP_INDEX_URL": settings.downloads.pypi,
        "UV_DEFAULT_INDEX": settings.downloads.pypi,
        "npm_config_registry": settings.downloads.npm,
    }
    lines = [f"export {key}={shlex.quote(value)}\n" for key, value in facts.items() if value]
    (folder / "settings.sh").write_text("".join(lines), encoding="utf-8")


def entries(resource: Resource) -> Sequence[tuple[tarfile.TarInfo, bytes]]:
    """The entries of a tar for the files and directories of a resource."""
    if isinstance(resource, Directory):
        entry = _entry(resource.path, resource.mode, resource.owner, resource.group)
        entry.type = tarfile.DIRTYPE
        return [(entry, b"")]
    texts: dict[str, str] = {}
    mode, owner, group = 0o644, "root", "root"
    if isinstance(resource, File):
        texts[resource.path] = resource.content
        mode, owner, group = resource.mode, resource.owner, resource.group
    elif isinstance(resource, TrustedCertificate):
        texts[f"/usr/local/share/ca-certificates/{resource.name}.crt"] = resource.pem
    elif isinstance(resource, JsonKeys):
        texts[resource.path] = json.dumps(resource.values)
    elif isinstance(resource, Service) and resource.unit:
        texts[f"/etc/systemd/system/{resource.name}.service"] = resource.unit
    elif isinstance(resource, Timer):
        texts[f"/etc/systemd/system/{resource.name}.timer"] = resource.timer
        texts[f"/etc/systemd/system/{resource.name}.service"] = resource.service
    found = []
    for path, text in texts.items():
        content = text.encode()
        entry = _entry(path, mode, owner, group)
        entry.size = len(content)
        found.append((entry, content))
    return found


def _entry(path: str, mode: int, owner: str, group: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode, entry.uname, entry.gname = mode, owner, group
    entry.mtime = int(time.time())
    return entry


if __name__ == "__main__":
    main()
