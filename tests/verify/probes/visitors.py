"""Several visitors: `arrive URL THROUGH N SECONDS`, `enter URL THROUGH WHO WHOSE`, `leave URL THROUGH`.

`knock URL THROUGH NAME [PASSWORD]`: try to log in, by default with the password that all share.

THROUGH is as for Visitor, or nothing. The visitors' cookies are kept beside this file. Passwords are read
from the hub's settings, so that none is among a command's words.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from tests.support.visitor import Cookie, Visitor

HUB_JSON = Path("/etc/jupyterhub/hub.json")
NOTES = Path(__file__).with_name("visitors.json")
CODE = "print(6 * 7)"


async def arrive(url: str, through: str, count: str, timeout: str) -> list[dict[str, str]]:
    """Let visitors come. Returns everyone's user name, and the output of a kernel of the first one."""
    password = shared_password()
    everyone = [
        Visitor(url, timeout=float(timeout), through=through, name=name, password=password)
        for name in (f"hubwright-verify-{number + 1}" if password else "" for number in range(int(count)))
    ]
    came = await asyncio.gather(*(visitor.arrive() for visitor in everyone), return_exceptions=True)
    NOTES.touch(0o600)
    NOTES.write_text(json.dumps([pack(visitor) for visitor in everyone if visitor.server]), encoding="utf-8")
    try:
        for outcome in came:
            if isinstance(outcome, BaseException):
                raise outcome
        kernel = await everyone[0].open_kernel()
        printed = await kernel.run(CODE)
    except BaseException:
        await leave(url, through)
        raise
    return [{"user": v.user, "printed": printed} for v in everyone]


async def enter(url: str, through: str, who: str, whose: str) -> int:
    """The status of the answer when a visitor, known to the hub, asks for another one's server."""
    everyone = unpack(url, through)
    response = await everyone[int(who)].get(f"{everyone[int(whose)].server}lab")
    return int(response.code)


async def knock(url: str, through: str, name: str, *password: str) -> int:
    """The status of the page that follows a login."""
    visitor = Visitor(
        url, through=through, name=name, password=password[0] if password else shared_password()
    )
    response = await visitor.log_in("/hub/token")  # a page that needs no server
    return int(response.code)


def shared_password() -> str:
    """The password that lets people in; nothing where the hub asks for none."""
    return str(json.loads(HUB_JSON.read_text(encoding="utf-8"))["auth"].get("user_password", ""))


async def leave(url: str, through: str) -> list[int]:
    """End everyone's server, each by its own visitor. Returns the status that each was given."""

    async def one(visitor: Visitor) -> int:
        await visitor.get(urljoin(url, "/hub/home"))  # gives the cookie that a request to the hub needs
        return await visitor.leave()

    return await asyncio.gather(*(one(visitor) for visitor in unpack(url, through)))


def pack(visitor: Visitor) -> dict[str, Any]:
    cookies = [[name, path, cookie.value, cookie.secure] for (name, path), cookie in visitor.cookies.items()]
    return {"server": visitor.server, "cookies": cookies}


def unpack(url: str, through: str) -> list[Visitor]:
    return [
        Visitor(
            url,
            {(name, path): Cookie(value, path, secure) for name, path, value, secure in one["cookies"]},
            one["server"],
            through=through,
        )
        for one in json.loads(NOTES.read_text(encoding="utf-8"))
    ]


if __name__ == "__main__":
    steps = {"arrive": arrive, "enter": enter, "knock": knock, "leave": leave}
    print(json.dumps(asyncio.run(steps[sys.argv[1]](*sys.argv[2:]))))  # type: ignore[operator]
