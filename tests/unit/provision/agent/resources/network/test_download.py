"""Files from the web."""

from __future__ import annotations

import io
import ssl
import urllib.request
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.agent.resources import Abandoned
from provision.agent.resources.network import download
from tests.support.fakes.host import Host
from tests.support.fakes.machine import FakeMachine


def test_a_download_ends_when_the_driver_has_gone(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Answer(io.BytesIO):
        headers = Message()

    Answer.headers["Content-Length"] = "8"
    web: Any = SimpleNamespace(open=lambda *_, **__: Answer(b"a" * 8))
    monkeypatch.setattr(urllib.request, "build_opener", lambda *_: web)
    monkeypatch.setattr(urllib.request, "HTTPSHandler", lambda **_: None)
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: None)
    monkeypatch.setattr(FakeMachine, "abandoned", lambda _: True)
    with pytest.raises(Abandoned):
        download.download(FakeMachine(host), "https://x/a.sh", "0" * 64, str(tmp_path / "a.sh"))
    assert list(tmp_path.glob("a.sh*")) == []
