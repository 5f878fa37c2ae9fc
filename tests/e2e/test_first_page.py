"""The first page of a visitor without an account: the image's, the hub's, or that of a link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import parse_qs, quote

import pytest
from playwright.sync_api import expect

from tests.support.browsers import IN_THE_WAY, PAGE_TIMEOUT, browsed
from tests.support.hosts.containers import Host
from tests.support.operators import Operator
from tests.support.visitor import Visitor

LINK = "hub/user-redirect/lab/tree/welcome.ipynb?factory=Notebook&a=b%20c"
GIT = "10.98.0.2:8000"
# Serves the repository /srv/course as a forge does. Only git itself knows its protocol.
FORGE = """
import json, os, subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Forge(BaseHTTPRequestHandler):
    def do_GET(self, body=b""):
        path, _, query = self.path.partition("?")
        variables = {"GIT_PROJECT_ROOT": "/srv", "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command,
                     "PATH_INFO": path, "QUERY_STRING": query, "CONTENT_LENGTH": str(len(body)),
                     "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                     "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                     "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        answer = subprocess.run(["git", "http-backend"], input=body, env=os.environ | variables,
                                stdout=subprocess.PIPE).stdout
        head, _, content = answer.partition(b"\\r\\n\\r\\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        self.do_GET(self.rfile.read(int(self.headers["Content-Length"])))

cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "A lesson from the repository"}
kernel = {"name": "course-2019", "display_name": "Of another computer", "language": "python"}
lesson = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
os.makedirs("/srv/course/week 1")
with open("/srv/course/week 1/lesson.ipynb", "w") as file:
    json.dump(lesson, file)
who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
for words in (["init", "--initial-branch=main"], ["add", "."], [*who, "commit", "--message=First"]):
    subprocess.run(["git", "-C", "/srv/course", *words], check=True)
ThreadingHTTPServer(("", 8000), Forge).serve_forever()
"""
# On a network behind the host, where a forge is for any notebook.
RAISE_FORGE = """
image=$(docker image ls --format '{{.Repository}}:{{.Tag}}' hubwright/notebook | head -n 1)
run="docker run --detach --name=forge --network=none --user=root --entrypoint=python"
$run "$image" -c "$(cat /run/forge.py)"
pid=$(docker inspect --format='{{.State.Pid}}' forge)
ip link add forge0 type veth peer name inner netns "$pid"
ip address add 10.98.0.1/24 dev forge0
ip link set forge0 up
inside="nsenter --net --target=$pid"
$inside ip address add 10.98.0.2/24 dev inner
$inside ip link set inner up
$inside ip route add default via 10.98.0.1
for _ in $(seq 100); do
    ! python3 -c 'import socket; socket.create_connection(("10.98.0.2", 8000))' 2>/dev/null || exit 0
    sleep 0.1
done
docker logs forge
exit 1
"""


@pytest.fixture(scope="module")
def course(machine: Host) -> Iterator[str]:
    """The URL of a repository, as visitors' servers reach it."""
    machine.run(f"cat >/run/forge.py <<'END'\n{FORGE}\nEND")
    try:
        machine.run(RAISE_FORGE)
        yield f"http://{GIT}/course"
    finally:
        machine.run("docker rm --force forge")  # its end of the network goes with it


def place(visitor: Visitor) -> tuple[str, dict[str, list[str]]]:
    """Path and query of the first page, on the visitor's own server."""
    assert visitor.page.startswith(visitor.server)
    return parsed(visitor.page.removeprefix(visitor.server))


def parsed(url: str) -> tuple[str, dict[str, list[str]]]:
    """A path, and its query as it is understood: on the way it may be written in another way."""
    path, _, query = url.partition("?")
    return path, parse_qs(query, keep_blank_values=True)


def test_the_image_s_own_page_is_a_notebook_that_runs(machine: Host) -> None:
    async def scenario() -> None:
        visitor = Visitor(machine.url)
        await visitor.arrive()
        assert place(visitor) == ("lab/tree/welcome.ipynb", {})
        found = await visitor.get(f"{visitor.server}api/contents/welcome.ipynb")
        cells = json.loads(found.body)["content"]["cells"]
        kernel = await visitor.open_kernel()
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        assert code
        for text in code:
            await kernel.run(text)  # raises what the cell raises
        await visitor.leave()

    asyncio.run(scenario())


def test_a_link_to_a_notebook_opens_it_for_a_stranger(machine: Host) -> None:
    async def scenario() -> None:
        visitor = Visitor(machine.url)
        await visitor.arrive(LINK)
        assert place(visitor) == parsed(LINK.removeprefix("hub/user-redirect/"))
        await visitor.leave()

    asyncio.run(scenario())


def test_a_link_to_a_repository_brings_it_and_opens_its_notebook(machine: Host, course: str) -> None:
    target = quote("lab/tree/course/week 1/lesson.ipynb", safe="")
    with browsed("git-pull") as page:
        page.goto(f"{machine.url}hub/user-redirect/git-pull?repo={quote(course, safe='')}&urlpath={target}")
        expect(page.locator(".jp-Notebook")).to_contain_text(
            "A lesson from the repository", timeout=PAGE_TIMEOUT
        )
        page.get_by_text("| Idle").wait_for()  # a kernel started without a question which one
        assert page.locator(IN_THE_WAY).count() == 0


def test_hub_toml_says_what_opens_first(operator: Operator, machine: Host) -> None:
    async def first_page() -> tuple[str, dict[str, list[str]]]:
        visitor = Visitor(machine.url)
        await visitor.arrive()
        await visitor.leave()
        return place(visitor)

    with operator.changed(server={"open": "/lab/workspaces/a%20{b}?theme=dark"}):
        operator.hubwright("apply")
        assert asyncio.run(first_page()) == ("lab/workspaces/a%20%7Bb%7D", {"theme": ["dark"]})
    operator.hubwright("apply")
    assert asyncio.run(first_page()) == ("lab/tree/welcome.ipynb", {})


def test_a_link_is_kept_while_all_places_are_taken(operator: Operator, machine: Host) -> None:
    async def scenario() -> None:
        first, second = Visitor(machine.url), Visitor(machine.url)
        await first.arrive()
        full = await second.get(f"{machine.url}{LINK}")
        assert (full.code, b"All places are taken" in full.body) == (429, True)
        await first.leave()
        await second.arrive(full.effective_url)  # as the page does by itself: it reloads its own address
        assert place(second) == parsed(LINK.removeprefix("hub/user-redirect/"))
        await second.leave()

    machine.run(
        "docker ps --quiet --filter name=^hubwright-server- | xargs --no-run-if-empty docker rm --force"
    )
    with operator.changed(server={"max_servers": 1}):
        operator.hubwright("apply")
        asyncio.run(scenario())
    operator.hubwright("apply")
