"""A program that runs on a host and reports its status: `python3 -c … QUESTION` prints JSON.

The question is JSON with `units`, `door` (a URL), `fresh` (file → how many seconds old it may become),
`answers` (unit → the URL of this host at which it answers while it is well),
`helpers` (containers that are no person's server), `hub` (a container, and the address and port of the
hub's API that it should reach) and `index` (host and port of the package index that containers should reach).
Standard library only, and it changes nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

STATE = "/var/lib/hubwright"
ANSWER_TIMEOUT = 20  # seconds for one answer, on a host with other work
HOST_TIMEOUT = 4  # seconds until a host that does not reach the package index counts as one without it
UNITS_TIMEOUT = 8  # seconds for the answers of all units together
NETWORK = "hubwright"


def run(*argv: str, errors: bool = False) -> tuple[bool, str]:
    """True when the program ended well, and its output. Raises OSError or TimeoutExpired.

    `errors`: standard error belongs to the output.
    """
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
        text=True,
        timeout=ANSWER_TIMEOUT,
        check=False,
    )
    return done.returncode == 0, done.stdout


def ask(*argv: str, errors: bool = False) -> tuple[bool, str]:
    """The same as `run`, and False for a program that is not there or does not end."""
    try:
        return run(*argv, errors=errors)
    except (OSError, subprocess.TimeoutExpired):
        return False, ""


class Docker:
    """The engine, asked no more once it has not answered: each further question would wait as long."""

    def __init__(self) -> None:
        # A question to an engine that was stopped would start it, by its socket.
        self.runs, _ = ask("systemctl", "is-active", "docker.service")
        self.silent = False

    def ask(self, *argv: str) -> tuple[bool, str]:
        if not self.runs or self.silent:
            return False, ""
        try:
            return run("docker", *argv)
        except (OSError, subprocess.TimeoutExpired):
            self.silent = True
            return False, ""


def last_line(path: str) -> dict[str, Any] | None:
    """The last complete line of a journal: a power cut may have left half a line."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def applied(path: str) -> list[dict[str, Any]] | None:
    """The resources that the last runs made true; None when the file that says so is damaged."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            entries = json.load(file)["resources"]
            return [dict(entry["resource"]) for entry in entries if entry.get("complete", True)]
    except OSError:
        return []
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def unit_states(names: list[str]) -> dict[str, str]:
    """Unit → active, inactive, failed, …; a timer counts as failed when its last run failed."""
    show = "--property=Id,ActiveState,Result,Unit"
    found = dict.fromkeys(names, "unknown")
    for name in names:
        ok, text = ask("systemctl", "show", show, name)
        properties = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        if not ok or not properties:
            continue
        found[name] = properties.get("ActiveState", "unknown")
        if name.endswith(".timer") and properties.get("Unit"):
            _, result = ask("systemctl", "show", "--property=Result", "--value", properties["Unit"])
            if result.strip() not in ("", "success"):
                found[name] = "failed"
    return found


def door_fault(url: str) -> str:
    """The reason why the hub does not answer a visitor's request through its proxy; empty when it does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # Straight to this host: a proxy for downloads must not be asked.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), Unfollowed()
    )
    # The second one is what visitors ask first. It leads to the hub's pages, which may make an account.
    for place, below in ((f"{url}/hub/health", 300), (f"{url}/", 400)):
        try:
            with opener.open(place, timeout=ANSWER_TIMEOUT) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError as error:
            return f"{place} does not answer: {getattr(error, 'reason', error)}"
        if status >= below:
            return f"{place} answers {status}"
    return ""


class Unfollowed(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like others."""

    def redirect_request(self, *_: Any) -> None:
        return None


def answer_fault(url: str) -> str:
    """The reason why a unit is not well, by its answer; empty when it is well."""
    parts = urllib.parse.urlsplit(url)
    # Not by urllib.request: it would follow a redirect to another unit, or ask a proxy for downloads.
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=UNITS_TIMEOUT)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except TimeoutError:
        return "runs, but does not answer"
    except (OSError, http.client.HTTPException) as error:
        return f"runs, but does not answer: {error}"
    finally:
        connection.close()
    return f"runs, but answers {status}" if status >= 500 else ""


def unit_faults(answers: dict[str, str]) -> list[str]:
    """A line for each unit that does not answer in time. They are asked side by side."""
    reasons: dict[str, str] = dict.fromkeys(answers, "runs, but does not answer")

    def one(unit: str, url: str) -> None:
        reasons[unit] = answer_fault(url)

    # Daemons: an answer that comes byte by byte must not keep this program from its end.
    threads = [threading.Thread(target=one, args=each, daemon=True) for each in answers.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + UNITS_TIMEOUT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"{unit} {reasons[unit]} at {url}" for unit, url in answers.items() if reasons[unit]]


def docker_faults(docker: Docker, resources: list[dict[str, Any]]) -> list[str]:
    """A line for each network, image and volume that was made and is gone."""
    if not docker.runs:
        return ["Docker does not run, so its networks, images and servers were not looked at"]
    commands = {
        "DockerNetwork": ("network", "name", ["network", "ls", "--format", "{{.Name}}"]),
        "DockerImage": ("image", "tag", ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]),
        "DockerVolume": ("volume", "name", ["volume", "ls", "--format", "{{.Name}}"]),
    }
    faults = []
    for kind, (word, key, command) in commands.items():
        wanted = [each[key] for each in resources if each.get("kind") == kind]
        if not wanted:
            continue
        ok, text = docker.ask(*command)
        if not ok:
            docker.silent = True
            return []
        there = text.split()
        faults += [f"Docker's {word} {name} is gone" for name in wanted if name not in there]
    return faults


def made_faults(resources: list[dict[str, Any]]) -> list[str]:
    """A line for each unit that runs no process and whose result is gone."""
    found = []
    for each in resources:
        if each.get("kind") == "Service" and each.get("still_there"):
            ok, text = ask("/usr/bin/python3", *each["still_there"], errors=True)
            if not ok:
                # The last line is the program's own words, should there be warnings before it.
                reason = (text.strip().splitlines() or ["its result is gone"])[-1]
                found.append(f"{each['name']}: {reason}")
    return found


def reach_faults(docker: Docker, container: str, address: str, port: int) -> list[str]:
    """A line when containers cannot reach the hub: visitors' servers never become ready then."""
    process = process_of(docker, container)
    if not process:
        return []  # the state of its unit is reported anyway
    connect = f"import socket; socket.create_connection(({address!r}, {port}), timeout=5)"
    ok, _ = ask("nsenter", f"--net=/proc/{process}/ns/net", sys.executable, "-c", connect)
    return [] if ok else [f"containers do not reach the hub at {address}:{port}"]


def process_of(docker: Docker, container: str) -> str:
    """A process of a container; empty while it does not run."""
    ok, text = docker.ask("inspect", "--format", "{{.State.Pid}}", container)
    return text.strip() if ok and text.strip() != "0" else ""


# A program for the network of a container. It asks the container's own resolver, its first argument.
LOOK_UP = """
import socket, struct, sys

def look_up(resolver, name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    asked = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack(">B2H", 0, 1, 1)
    query = socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, socket.SOCK_DGRAM)
    query.settimeout(2)
    for _ in range(3):
        try:
            query.sendto(asked, (resolver, 53))
            answer = query.recv(4096)
            break
        except OSError as error:
            said = error.strerror or str(error)
    else:
        sys.exit("do not resolve names: %s does not answer (%s)" % (resolver, said))
    place = len(asked)
    for _ in range(struct.unpack(">H", answer[6:8])[0]):
        while answer[place] and answer[place] < 0xC0:
            place += 1 + answer[place]
        place += 2 if answer[place] else 1
        kind, _, _, length = struct.unpack(">2HIH", answer[place : place + 10])
        place += 10 + length
        if kind == 1:
            return socket.inet_ntoa(answer[place - 4 : place])
    sys.exit("do not resolve %s (answer %d of %s)" % (name, answer[3] & 15, resolver))

resolver, name, port = sys.argv[1:]
try:
    address = socket.inet_ntoa(socket.inet_aton(name))
except OSError:
    address = look_up(resolver, name)
try:
    socket.create_connection((address, int(port)), timeout=5).close()
except OSError as error:
    sys.exit("do not reach %s:%s, where packages come from: %s" % (name, port, error.strerror or error))
"""


def way_faults(docker: Docker, container: str, name: str, port: int) -> list[str]:
    """A line when the host reaches the package index, and containers do not."""
    process = process_of(docker, container)
    resolver = resolver_of(process) if process else ""
    if not resolver or not host_reaches(name, port):
        return []
    words = (sys.executable, "-c", LOOK_UP, resolver, name, str(port))
    ok, text = ask("nsenter", f"--net=/proc/{process}/ns/net", *words, errors=True)
    reason = (text.strip().splitlines() or ["do not answer in time"])[-1]
    return [] if ok else [f"containers {reason}"]


def resolver_of(process: str) -> str:
    """The address that a process of a container asks for names."""
    try:
        with open(f"/proc/{process}/root/etc/resolv.conf", encoding="utf-8") as file:  # noqa: PTH123
            return next((line.split()[1] for line in file if line.startswith("nameserver ")), "")
    except OSError:
        return ""


def host_reaches(name: str, port: int) -> bool:
    """True when this host resolves a name and opens a connection there, in a few seconds."""
    reached = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((name, port), timeout=HOST_TIMEOUT).close()
            reached.set()
        except OSError:
            pass

    thread = threading.Thread(target=connect, daemon=True)  # a resolver may wait for longer
    thread.start()
    thread.join(HOST_TIMEOUT)
    return reached.is_set()


def stale(fresh: dict[str, int], now: float) -> list[str]:
    """A line for each file that is missing, or older than it may become."""
    faults = []
    for path, seconds in fresh.items():
        try:
            age = now - os.stat(path).st_mtime  # noqa: PTH116
        except OSError:
            faults.append(f"{path} is not there")
            continue
        if age > seconds:
            faults.append(f"{path} was last written {age:.0f} s ago; {seconds} s is usual at most")
    return faults


def servers(docker: Docker, helpers: list[str]) -> int:
    """The number of running servers."""
    _, text = docker.ask("ps", "--filter", f"network={NETWORK}", "--format", "{{.Names}}")
    return len(set(text.split()) - set(helpers))


def report(question: dict[str, Any]) -> dict[str, Any]:
    resources = applied(f"{STATE}/applied.json")
    if resources == []:
        return {"deployed": False}
    units = unit_states(question["units"])
    run = last_line(f"{STATE}/journal.jsonl")
    faults = [f"{unit} is {state}" for unit, state in units.items() if state != "active"]
    if resources is None:
        faults.append(f"{STATE}/applied.json is damaged, so networks, images and rules were not looked at")
        resources = []
    # Of one that systemd knows to be down, its state says enough.
    faults += unit_faults({u: url for u, url in question["answers"].items() if units.get(u) == "active"})
    docker = Docker()
    faults += (
        docker_faults(docker, resources) + made_faults(resources) + stale(question["fresh"], time.time())
    )
    faults += reach_faults(docker, *question["hub"]) or way_faults(
        docker, question["hub"][0], *question["index"]
    )
    count = servers(docker, question["helpers"])
    faults += ["Docker does not answer"] if docker.silent else []
    door = door_fault(question["door"])
    faults += [door] if door else []
    return {
        "deployed": True,
        "units": units,
        "servers": count,
        "last_run": run,
        "disk_free": shutil.disk_usage("/").free,
        "faults": faults,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report(json.loads(sys.argv[1]))))
