"""A visitor without a browser, who arrives, gets a server, and runs code in a kernel over its websocket.

Needs tornado and nothing of this project, so it runs beside the tests and, with the hub's Python, on a host:

    python visitor.py https://127.0.0.1/ 'print(6 * 7)'

prints one line of JSON: the outcome, and the seconds that each step took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.websocket import WebSocketClientConnection, websocket_connect

# Seconds between two questions, and at least PAUSE times as long as an answer takes: asking is work.
POLL, PAUSE = 0.1, 3
READY_TIMEOUT = 180.0  # seconds until a server is ready, and until a kernel has answered


@dataclass
class Cookie:
    value: str
    path: str
    secure: bool = False


@dataclass
class Visitor:
    """A person with a browser's cookies. `url` is the hub's address for visitors and ends in a slash.

    `ca`: file of the certificates that the hub's own is checked with; without it, any certificate will do.
    `through`: scheme, host and port to connect to in place of those of `url`, as a web server in front of
    the hub would.
    """

    url: str
    cookies: dict[tuple[str, str], Cookie] = field(default_factory=dict)
    server: str = ""
    """URL of the visitor's own server, once `arrive` has returned."""
    page: str = ""
    """URL of the page that was shown there first."""
    ca: str | None = None
    timeout: float = READY_TIMEOUT
    through: str = ""
    name: str = ""
    """The name to log in with where the hub asks for one, with the password."""
    password: str = field(default="", repr=False)

    async def get(self, url: str, **options: Any) -> HTTPResponse:
        """The answer after all redirects, with cookies kept. Its `effective_url` is the last URL."""
        for _ in range(20):
            response = await self.request("GET", url, **options)
            if response.code not in (301, 302, 303, 307):
                return response
            url = urljoin(url, response.headers["Location"])
        raise RuntimeError(f"redirected without end: {url}")

    async def request(self, method: str, url: str, **options: Any) -> HTTPResponse:
        headers = {"Cookie": self.cookie_header(url), **options.pop("headers", {})}
        if method != "GET":
            headers |= {"X-XSRFToken": self.cookie("_xsrf", url), "Referer": url}
        options |= {"follow_redirects": False, "allow_nonstandard_methods": True}
        options |= {"request_timeout": self.timeout}
        place, host = self._place(url)
        request = HTTPRequest(place, method, headers=headers | host, **self.trust, **options)
        response = await AsyncHTTPClient().fetch(request, raise_error=False)
        response.effective_url = url
        self._keep_cookies(url, response)
        return response

    async def log_in(self, next_path: str = "") -> HTTPResponse:
        """Fill in the hub's form with name and password. Returns the hub's answer: 403 for a refusal."""
        page = urljoin(self.url, "/hub/login") + (f"?{urlencode({'next': next_path})}" if next_path else "")
        await self.get(page)  # gives the cookie that the form needs
        form = urlencode({"username": self.name, "password": self.password})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        response = await self.request("POST", page, body=form, headers=kind)
        if response.code == 302:
            return await self.get(urljoin(page, response.headers["Location"]))
        return response

    async def arrive(self, link: str = "") -> str:
        """Open the hub, or a link of it, and wait for the visitor's own server. Returns the server's URL."""
        deadline = time.monotonic() + self.timeout
        entrance = urljoin(self.url, link)
        response = await self.get(entrance)
        if self.name and urlsplit(response.effective_url).path == "/hub/login":
            response = await self.log_in()
        took = 0.0
        while "/user/" not in urlsplit(response.effective_url).path:
            if response.code >= 400 or time.monotonic() > deadline:
                reason = ", all places are taken" if response.code == 429 else ""
                raise RuntimeError(f"no server: {response.code} at {response.effective_url}{reason}")
            await asyncio.sleep(max(POLL, PAUSE * took))
            target = response.effective_url if "spawn-pending" in response.effective_url else entrance
            asked = time.monotonic()
            response = await self.get(target)
            took = time.monotonic() - asked
        if response.code != 200:
            raise RuntimeError(f"the server answers {response.code} at {response.effective_url}")
        parts = urlsplit(response.effective_url).path.split("/")
        self.server, self.page = urljoin(self.url, f"/user/{parts[2]}/"), response.effective_url
        return self.server

    async def leave(self) -> int:
        """Look at a page of the hub, then end the visitor's server. Returns the status of the answer."""
        response = await self.request("DELETE", urljoin(self.url, f"/hub/api/users/{self.user}/server"))
        return int(response.code)

    async def open_kernel(self) -> Kernel:
        response = await self.request("POST", f"{self.server}api/kernels", body="{}")
        if response.code != 201:
            raise RuntimeError(f"no kernel: {response.code} {response.body[:200]!r}")
        kernel = Kernel(self, json.loads(response.body)["id"])
        await kernel.connect()
        return kernel

    @property
    def user(self) -> str:
        return self.server.rstrip("/").rpartition("/")[2]

    @property
    def trust(self) -> dict[str, Any]:
        return {"validate_cert": self.ca is not None, "ca_certs": self.ca}

    def cookie(self, name: str, url: str) -> str:
        """The value that a browser would send: the one with the longest path that fits."""
        found = [cookie for key, cookie in self._sent(url) if key == name]
        return max(found, key=lambda c: len(c.path)).value if found else ""

    def cookie_header(self, url: str) -> str:
        fitting = sorted(self._sent(url), key=lambda item: -len(item[1].path))
        return "; ".join(f"{name}={c.value}" for name, c in fitting)

    def _place(self, url: str) -> tuple[str, dict[str, str]]:
        """The URL to connect to for a URL, and the header that names the one that is meant."""
        if not self.through:
            return url, {}
        parts, door = urlsplit(url), urlsplit(self.through)
        return parts._replace(scheme=door.scheme, netloc=door.netloc).geturl(), {"Host": parts.netloc}

    def _sent(self, url: str) -> list[tuple[str, Cookie]]:
        """The cookies that a browser sends to the URL: secure ones over https only."""
        parts = urlsplit(url)
        return [
            (name, cookie)
            for (name, _), cookie in self.cookies.items()
            if parts.path.startswith(cookie.path) and (parts.scheme == "https" or not cookie.secure)
        ]

    def _keep_cookies(self, url: str, response: HTTPResponse) -> None:
        for header in response.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(header).items():
                path = morsel["path"] or urlsplit(url).path
                if morsel["max-age"] == "0" or "1970" in morsel["expires"] or not morsel.value:
                    self.cookies.pop((name, path), None)
                else:
                    self.cookies[(name, path)] = Cookie(morsel.coded_value, path, bool(morsel["secure"]))


@dataclass
class Kernel:
    visitor: Visitor
    id: str
    socket: WebSocketClientConnection | None = None

    async def connect(self) -> None:
        url = f"{self.visitor.server}api/kernels/{self.id}/channels"
        headers = {"Cookie": self.visitor.cookie_header(url), "Origin": self.visitor.url.rstrip("/")}
        place, host = self.visitor._place(url)
        target = f"ws{place.removeprefix('http')}?_xsrf={self.visitor.cookie('_xsrf', url)}"
        request = HTTPRequest(target, headers=headers | host, **self.visitor.trust)
        self.socket = await websocket_connect(request)

    async def run(self, code: str) -> str:
        """The output of the code. Raises RuntimeError with the code's error, or when the socket closes."""
        assert self.socket is not None
        request = {
            "header": {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
            | {"username": "", "session": uuid.uuid4().hex, "date": ""},
            "parent_header": {},
            "metadata": {},
            "content": {"code": code, "silent": False, "allow_stdin": False},
            "channel": "shell",
        }
        await self.socket.write_message(json.dumps(request))
        return await asyncio.wait_for(self._output(request["header"]["msg_id"]), self.visitor.timeout)  # type: ignore[index]

    async def _output(self, asked: str) -> str:
        assert self.socket is not None
        printed = []
        while True:
            text = await self.socket.read_message()
            if text is None:
                raise RuntimeError("the kernel's websocket closed")
            message = json.loads(text)
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "error":
                raise RuntimeError(f"{content['ename']}: {content['evalue']}")
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(printed)


async def visit(
    url: str,
    code: str,
    ca: str | None = None,
    timeout: float = READY_TIMEOUT,
    name: str = "",
    password: str = "",
) -> dict[str, Any]:
    """One complete visit. Keys: server, printed, and the seconds until `ready` and until `answered`."""
    began = time.monotonic()
    visitor = Visitor(url, ca=ca, timeout=timeout, name=name, password=password)
    server = await visitor.arrive()
    ready = time.monotonic() - began
    kernel = await visitor.open_kernel()
    printed = await kernel.run(code)
    return {"server": server, "printed": printed, "ready": ready, "answered": time.monotonic() - began}


if __name__ == "__main__":
    where, what, *trust = sys.argv[1:]
    print(json.dumps(asyncio.run(visit(where, what, trust[0] if trust else None))))
