"""Downloads that break off, that are refused, or that are not what they should be."""

from __future__ import annotations

import email.message
import errno
import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.agent.resources import Problem
from provision.agent.resources.network import download
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine

OLD, NEW = "0a" * 32, "0b" * 32


# --- the download -----------------------------------------------------------------------------------


class Web:
    """A urllib opener that gives each answer in turn: it promises `length` bytes and gives `content`."""

    def __init__(self, *answers: Exception | tuple[bytes, int]) -> None:
        self.answers = list(answers)

    def open(self, url: str, timeout: float) -> Any:  # noqa: ARG002
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        response: Any = io.BytesIO(answer[0])
        response.headers = {"Content-Length": str(answer[1])}
        return response


CONTENT = b"#!/bin/sh\n" * 100_000
WHOLE, HALF = (CONTENT, len(CONTENT)), (CONTENT[:1000], len(CONTENT))
SILENT = urllib.error.URLError("connection refused")


def status(code: int) -> urllib.error.HTTPError:
    return urllib.error.HTTPError("", code, "told so", email.message.Message(), None)


@pytest.fixture
def fetch(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Path, Web]]:
    def run(*answers: Exception | tuple[bytes, int], digest: str = "") -> tuple[Path, Web]:
        web, path = Web(*answers), tmp_path / "installer.sh"
        monkeypatch.setattr(urllib.request, "build_opener", lambda *_: web)
        try:
            download.download(
                FakeMachine(host), "https://x/a.sh", digest or hashlib.sha256(CONTENT).hexdigest(), str(path)
            )
        except (Problem, OSError):
            assert not path.exists()
            raise
        return path, web

    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr("ssl.create_default_context", lambda **_: None)
    monkeypatch.setattr(urllib.request, "HTTPSHandler", lambda **_: None)
    return run


@pytest.mark.parametrize("answers", [[WHOLE], [SILENT, WHOLE], [HALF, status(503), WHOLE]])
def test_what_breaks_off_is_fetched_again(fetch: Callable[..., tuple[Path, Web]], answers: list[Any]) -> None:
    path, web = fetch(*answers)
    assert path.read_bytes() == CONTENT
    assert web.answers == []


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([HALF, HALF, HALF], "cannot be downloaded: it ended after 1000 of 1000000 bytes"),
        ([SILENT, SILENT, SILENT], "cannot be downloaded: connection refused"),
        ([status(404)], "cannot be downloaded: HTTP Error 404: told so"),
        ([(b"exit 0\n", 7)], "is not what was expected, and was not run"),
        ([(CONTENT[:1000], 0)], "is not what was expected, and was not run"),
    ],
)
def test_what_cannot_be_had_leaves_no_file(
    fetch: Callable[..., tuple[Path, Web]], answers: list[Any], message: str
) -> None:
    """`fetch` removes the file. The web has no answer to a second question."""
    with pytest.raises(Problem, match=message) as caught:
        fetch(*answers)
    assert "[python] installer and sha256" in caught.value.hint


def test_a_wrong_checksum_is_shown_beside_the_right_one(fetch: Callable[..., tuple[Path, Web]]) -> None:
    with pytest.raises(Problem) as caught:
        fetch(WHOLE, digest=NEW)
    assert hashlib.sha256(CONTENT).hexdigest() in caught.value.what
    assert NEW in caught.value.what


def test_a_full_disk_is_not_taken_for_a_broken_line(fetch: Callable[..., tuple[Path, Web]]) -> None:
    with pytest.raises(OSError, match="No space left"):
        fetch(OSError(errno.ENOSPC, "No space left on device"), WHOLE)
