"""The fixture that keeps unit tests inside their own process does keep them."""

from __future__ import annotations

import os
import socket
import subprocess
import urllib.request
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("attempt", "named"),
    [
        (lambda: subprocess.run(["true"], check=True), "subprocess.Popen"),
        (lambda: subprocess.check_output("true", shell=True), "subprocess.Popen"),
        (lambda: os.system("true"), "os.system"),
        (lambda: os.popen("true"), "os.popen"),
        (lambda: os.execvp("true", ["true"]), "os.execvp"),
        (lambda: os.execv("/bin/true", ["true"]), "os.execv"),
        (lambda: os.spawnlp(os.P_WAIT, "true", "true"), "os.spawnlp"),
        (lambda: os.posix_spawn("/bin/true", ["true"], {}), "os.posix_spawn"),
        (lambda: os.fork(), "os.fork"),
        (lambda: socket.create_connection(("127.0.0.1", 1)), "socket.getaddrinfo"),
        (lambda: socket.socket().connect(("127.0.0.1", 1)), "socket.connect"),
        (lambda: socket.socket().bind(("127.0.0.1", 0)), "socket.bind"),
        (lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 1)), "socket.sendto"),
        (lambda: urllib.request.urlopen("http://127.0.0.1:1/"), "socket.getaddrinfo"),
    ],
)
def test_what_leaves_the_process_fails_by_name(attempt: Callable[[], object], named: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"a unit test calls {named}"):
        attempt()
