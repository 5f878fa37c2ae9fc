"""Unit tests stay inside their own process: no program is started, no socket reaches out."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from provision import first_boot, settings
from tests.support.fakes.host import Host

PROGRAMS = ("exec", "spawn", "posix_spawn", "fork")
MEMORY = "/dev/shm"
MEMORY_NEEDED = 1 << 30  # bytes: pytest keeps the folders of three runs
CONNECTIONS = ("connect", "connect_ex", "bind", "sendto")


def pytest_configure() -> None:
    """Put the tests' folders into memory where there is room: some ten thousand files."""
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def pytest_collection_finish() -> None:
    """Spare the collector what was imported, which stays."""
    gc.freeze()


def _forbidden(name: str, instead: str) -> Callable[..., Any]:
    def refuse(*args: Any, **_: Any) -> None:
        pytest.fail(f"a unit test calls {name}{args[-1:]}: {instead}", pytrace=True)

    return refuse


@pytest.fixture(autouse=True, scope="package")
def _no_processes_no_sockets() -> Iterator[None]:
    """Refuse both while the tests of this folder run. A test may put an answer of its own in their place."""
    starters = [name for name in dir(os) if name.startswith(PROGRAMS) and callable(getattr(os, name))]
    with pytest.MonkeyPatch.context() as patch:
        for name in (*starters, "system", "popen"):
            patch.setattr(os, name, _forbidden(f"os.{name}", "script the answer with a fake"))
        patch.setattr(
            subprocess.Popen, "__init__", _forbidden("subprocess.Popen", "script the answer with a fake")
        )
        for name in CONNECTIONS:
            patch.setattr(
                socket.socket, name, _forbidden(f"socket.{name}", "fake the other side"), raising=False
            )
        patch.setattr(socket, "getaddrinfo", _forbidden("socket.getaddrinfo", "fake the other side"))
        yield


@pytest.fixture(autouse=True, scope="package")
def _no_wait_for_the_disk() -> Iterator[None]:
    """Let files be written when the kernel likes: no unit test cuts the power, and a busy disk takes long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True, scope="package")
def _compress_each_bundle_once() -> Iterator[None]:
    """Tests of first boots share a few bundles, and xz takes most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_boot, "compressed", cache(first_boot.compressed))
        yield


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A made-up host in a folder of its own, on which the test's user is root."""
    made_up = Host(tmp_path / "host")
    made_up.install(monkeypatch)
    return made_up


@pytest.fixture
def hub(tmp_path: Path) -> Callable[..., settings.Settings]:
    """Settings from the text of a hub.toml, with an image unless the text has one."""

    def load(text: str = "", *, secrets: str = "", site: str = "") -> settings.Settings:
        if "[image]" not in text:
            text += f'\n[image]\nreference = "quay.io/group/notebook@sha256:{"0a" * 32}"\n'
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        (folder / "hub.toml").write_text(text, encoding="utf-8")
        for name, content in (("secrets.toml", secrets), ("site.toml", site)):
            if content:
                (folder / name).write_text(content, encoding="utf-8")
                (folder / name).chmod(0o600)
        return settings.load(folder / "hub.toml", {})

    return load
