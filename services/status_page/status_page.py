"""/services/status: the hub's state for its operator, and a summary for everyone if the settings allow it.

    status_page.py FILE            serve; FILE is JSON with title, public, port, graphite (URL) and prefix
    status_page.py --ticket        write the path that lets its bearer in, once; for root on the host

The variable STATUS_KEY, or the file that has it, holds what tickets and cookies are signed with.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
import status_data
import tickets
from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.web import Application, RequestHandler

PREFIX = "/services/status/"
KEY_FILE = Path("/etc/jupyterhub/secrets/status.env")
JOURNAL = Path("/var/lib/hubwright/journal.jsonl")
TEMPLATES = Path(__file__).parent.parent / "share" / "templates"
COOKIE = "hubwright-status"
KEPT = 5.0  # seconds for which an answer of Graphite is used again: many viewers make one question
GRAPHITE_TIMEOUT = 3.0  # seconds

log = logging.getLogger("status")


class Graphite:
    """Answers of Graphite's /render, used again for a moment. `problem` says why the last one failed."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.prefix = prefix
        self.problem = ""
        self._kept: dict[int, tuple[float, status_data.Series]] = {}

    async def series(self, window: int) -> status_data.Series | None:
        at, found = self._kept.get(window, (0.0, {}))
        if time.monotonic() - at < KEPT:
            return found
        url = f"{self.url}/render?{urlencode(status_data.query(self.prefix, window))}"
        try:
            answer = await AsyncHTTPClient().fetch(
                url, connect_timeout=GRAPHITE_TIMEOUT, request_timeout=GRAPHITE_TIMEOUT
            )
            found = status_data.parse(answer.body.decode())
        except (OSError, HTTPError, ValueError) as error:
            if not self.problem:
                log.warning("Graphite: %s", error)
            self.problem = str(error)
            return None
        self.problem = ""
        self._kept[window] = (time.monotonic(), found)
        return found


class Page(RequestHandler):
    """A page that loads nothing from elsewhere, is kept by no cache, and shows in no frame."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", self.settings["policy"])
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def show(self, template: str, **values: Any) -> None:
        page = self.settings["pages"].get_template(template)
        self.finish(page.render(title=self.settings["title"], prefix=PREFIX, **values))

    def write_error(self, status_code: int, **_: Any) -> None:
        self.show("status_closed.html", code=status_code)

    def log_exception(self, *about: Any) -> None:
        log.error("%s failed", type(self).__name__, exc_info=about)  # tornado would log the ticket, too

    @property
    def operator(self) -> bool:
        word = self.get_cookie(COOKIE, "") or ""
        return bool(tickets.good_until(self.settings["key"], "cookie", word, time.time()))


class Status(Page):
    async def get(self) -> None:
        if not self.operator and not self.settings["public"]:
            self.send_error(403)
            return
        name = self.get_argument("over", "hour")
        if name not in status_data.WINDOWS:
            self.send_error(404)
            return
        window = status_data.WINDOWS[name]
        graphite: Graphite = self.settings["graphite"]
        end = int(time.time())
        wanted = {window, min(status_data.WINDOWS.values())}  # the shortest one also says what is now
        found = dict(zip(wanted, await asyncio.gather(*map(graphite.series, wanted)), strict=True))
        series = found[window]
        latest = status_data.recent(found[min(wanted)], end)
        cards = None
        if series is not None:
            cards = status_data.cards(series, latest, end, window, everything=self.operator)
        self.show(
            "status.html",
            cards=cards,
            windows=list(status_data.WINDOWS),
            over=name,
            hub_up=status_data.hub_is_up(latest),
            operator=self.operator,
            deploys=status_data.deploys(_journal()) if self.operator else [],
            now=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(end)),
        )


class Enter(Page):
    """The page that takes a ticket and gives a cookie. A ticket lets in once."""

    def get(self) -> None:
        ticket = self.get_argument("ticket", "")
        now = time.time()
        used: dict[str, int] = self.settings["used"]
        for old in [word for word, until in used.items() if until <= now]:
            del used[old]
        until = tickets.good_until(self.settings["key"], "ticket", ticket, now)
        if not until or ticket in used:
            self.send_error(403)
            return
        used[ticket] = until
        self.set_cookie(
            COOKIE,
            tickets.write(self.settings["key"], "cookie", now, tickets.COOKIE),
            path=PREFIX,
            httponly=True,
            samesite="Lax",
            secure=self.request.headers.get("X-Forwarded-Proto", "").startswith("https"),
            max_age=tickets.COOKIE,
        )
        self.redirect(PREFIX)


class Missing(Page):
    def prepare(self) -> None:
        self.send_error(404)


def make(
    graphite: Graphite, key: bytes, title: str, *, public: bool, templates: Path = TEMPLATES
) -> Application:
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = (templates / "status.css").read_text(encoding="utf-8")
    pages.globals["style"] = style
    pages.globals["logo"] = (templates / "logo.svg").read_text(encoding="utf-8")
    return Application(
        [(PREFIX, Status), (PREFIX.rstrip("/"), Status), (f"{PREFIX}enter", Enter)],
        default_handler_class=Missing,
        log_function=lambda _: None,  # a log of visits would hold tickets
        graphite=graphite,
        key=key,
        title=title,
        public=public,
        pages=pages,
        policy=policy(style),
        used={},
    )


def policy(style: str) -> str:
    """The content security policy: only this page's own style sheet, by its digest, and inline pictures."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _journal() -> list[str]:
    try:
        return JOURNAL.read_text(encoding="utf-8").splitlines()[-20:]
    except OSError:
        return []


def _key() -> bytes:
    given = os.environ.get("STATUS_KEY") or KEY_FILE.read_text(encoding="ascii").strip().partition("=")[2]
    return given.encode()


async def serve(file: Path) -> None:
    logging.basicConfig(format="%(message)s")
    settings = json.loads(file.read_text(encoding="utf-8"))
    graphite = Graphite(settings["graphite"], settings["prefix"])
    application = make(graphite, _key(), settings["title"], public=settings["public"])
    # Strangers reach it through the proxy, and no one has anything large to send.
    bounds: dict[str, Any] = {"max_body_size": 1024, "body_timeout": 5, "idle_connection_timeout": 60}
    application.listen(settings["port"], "127.0.0.1", **bounds)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "--ticket":
        ticket = tickets.write(_key(), "ticket", time.time(), tickets.TICKET)
        sys.stdout.write(f"{PREFIX}enter?ticket={ticket}\n")
    else:
        asyncio.run(serve(Path(sys.argv[1])))
