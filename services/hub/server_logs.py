"""Show the logs of a person's servers, those that have ended included. Root runs it on the host.

    server_logs.py [--follow] LINES NAME

NAME is an account, or account/server for one of several. The first line of the answer is JSON: the number of
servers found, and when there is none, names that are near. The rest is for reading.
"""

from __future__ import annotations

import difflib
import json
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ended_servers

NETWORK = "hubwright"
NEAR = 5  # names at most


@dataclass(frozen=True)
class Running:
    """A server that has a container."""

    user: str
    server: str
    container: str


def ask(*argv: str) -> str:
    """The output of a program; a container that has gone meanwhile is no reason to fail."""
    return subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    ).stdout.decode()


def running() -> list[Running]:
    ids = ask("docker", "ps", "--quiet", "--no-trunc", "--filter", f"network={NETWORK}").split()
    return parse_containers(ask("docker", "inspect", *ids)) if ids else []


def parse_containers(text: str) -> list[Running]:
    """The servers among containers, known by the variables that the hub gives to each."""
    servers = []
    for container in json.loads(text or "[]"):
        variables = dict(entry.partition("=")[::2] for entry in container["Config"]["Env"] or ())
        if "JUPYTERHUB_USER" in variables:
            name = variables.get("JUPYTERHUB_SERVER_NAME", "")
            servers.append(Running(variables["JUPYTERHUB_USER"], name, container["Id"]))
    return sorted(servers, key=lambda server: (server.user, server.server))


def called(server: Any) -> str:
    """The name of a server as people type it."""
    return f"{server.user}/{server.server}" if server.server else str(server.user)


def chosen(name: str, servers: Iterable[Any]) -> list[Any]:
    return [server for server in servers if name in (server.user, called(server))]


def near(name: str, servers: Iterable[Any]) -> list[str]:
    names = sorted({called(server) for server in servers})
    return difflib.get_close_matches(name, names, n=NEAR, cutoff=0.5)


def clean(line: str) -> str:
    """The line without control characters, which a terminal would obey: a stranger's server wrote it."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)


_printing = threading.Lock()


def show(text: str) -> None:
    with _printing:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def show_ended(server: ended_servers.Ended, lines: int) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(server.ended))
    show(f"--- {clean(called(server))}, ended {when}")
    for line in server.text().splitlines()[-lines:]:
        show(clean(line))


def show_running(servers: list[Running], lines: int, follow: bool) -> None:
    """Show the logs of servers that run; with `follow` all of them side by side, until each has ended."""
    if not follow:
        for server in servers:
            show(f"--- {clean(called(server))}, running")
            _pass_on(_log(server, lines, follow=False), "")
        return
    logs = [(_log(server, lines, follow=True), server) for server in servers]
    several = len(logs) > 1
    readers = [
        threading.Thread(target=_pass_on, args=(log, f"{called(server)}: " if several else ""), daemon=True)
        for log, server in logs
    ]
    for reader in readers:
        reader.start()
    try:
        while any(reader.is_alive() for reader in readers) and not _hung_up():
            readers[0].join(1)
            time.sleep(0.1)
    finally:
        for log, _ in logs:
            log.kill()


def _log(server: Running, lines: int, *, follow: bool) -> subprocess.Popen[bytes]:
    argv = ["docker", "logs", f"--tail={lines}", *(["--follow"] if follow else []), server.container]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _pass_on(log: subprocess.Popen[bytes], prefix: str) -> None:
    assert log.stdout is not None
    for line in log.stdout:
        show(clean(prefix + line.decode(errors="replace").rstrip("\r\n")))
    log.wait()


def _hung_up() -> bool:
    """True when the reader of our output has gone: with a silent server, no write would show it."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in output.poll(0))


def answer(name: str, lines: int, follow: bool) -> None:
    there, gone = running(), ended_servers.found()
    live, ended = chosen(name, there), chosen(name, gone)
    close = [] if live or ended else near(name, [*there, *gone])
    show(json.dumps({"found": len(live) + len(ended), "near": close}))
    if not follow or not live:
        for server in ended:
            show_ended(server, lines)
    if live:
        show_running(live, lines, follow)


def main(argv: list[str]) -> None:
    follow = argv[:1] == ["--follow"]
    lines, name = argv[-2:]
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        answer(name, int(lines), follow)
    except BrokenPipeError:  # the operator has seen enough
        sys.stderr.close()


if __name__ == "__main__":
    main(sys.argv[1:])
