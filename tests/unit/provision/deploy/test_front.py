"""A hub's URL as a visitor's request meets it, with the network faked."""

from __future__ import annotations

import errno
import io
import socket
import ssl
from typing import Any

import pytest

from provision.deploy import front

URL = "https://hub.example.org:8443/"
GOOD = "HTTP/1.1 200 OK\r\nX-JupyterHub-Version: 6.1.1\r\n\r\n"
FOUR, SIX = "192.0.2.1", "2001:db8::1"


class Net:
    """A made-up network: the addresses of the hub's name, and what each answers in turn."""

    def __init__(self) -> None:
        self.addresses: list[str] | OSError = [FOUR]
        self.answers: dict[str, list[str | OSError]] = {FOUR: [GOOD]}
        self.asked: list[str] = []

    def getaddrinfo(self, *_: object, **__: object) -> list[tuple[Any, ...]]:
        if isinstance(self.addresses, OSError):
            raise self.addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.addresses]

    def connect(self, place: tuple[str, int], timeout: float) -> Socket:  # noqa: ARG002
        answer = self.answers[place[0]].pop(0)
        if isinstance(answer, OSError) and not isinstance(answer, ssl.SSLError):
            raise answer
        return Socket(self, answer)


class Socket:
    def __init__(self, net: Net, answer: str | OSError) -> None:
        self.net, self.answer = net, answer

    def sendall(self, data: bytes) -> None:
        self.net.asked.append(data.decode().splitlines()[0])

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        assert isinstance(self.answer, str)
        return io.BytesIO(self.answer.encode())

    def close(self) -> None: ...


class Context:
    check_hostname = True
    verify_mode = ssl.CERT_REQUIRED

    def wrap_socket(self, sock: Socket, server_hostname: str) -> Socket:
        assert server_hostname == "hub.example.org"
        if isinstance(sock.answer, ssl.SSLError) and self.check_hostname:
            raise sock.answer
        if isinstance(sock.answer, ssl.SSLError):
            sock.answer = GOOD
        return sock


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    found = Net()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", found.connect)
    monkeypatch.setattr(ssl, "create_default_context", Context)
    return found


def refused_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_message = "self-signed certificate"
    return error


def redirect(location: str) -> str:
    return f"HTTP/1.1 301 Moved\r\nLocation: {location}\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([GOOD], ""),
        ([redirect("https://hub.example.org/hub/health"), GOOD], ""),
        (
            [ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")],
            "does not answer: Connection ref",
        ),
        ([TimeoutError("timed out")], "does not answer within 8 s"),
        ([OSError(errno.ENETUNREACH, "Network is unreachable")], "Network is unreachable"),
        ([refused_certificate()], "a certificate that browsers refuse: self-signed certificate"),
        (["HTTP/1.1 404 Not Found\r\n\r\n"], "answers 404 at /hub/health"),
        (["HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"], "another program than the hub"),
        (["SSH-2.0-OpenSSH\r\n"], "it does not speak HTTP"),
        ([redirect(f"{URL}hub/health")], "redirects without end, to https://hub.example.org:8443/hub/health"),
        ([redirect("https://login.example.org/")], "leads to https://login.example.org/"),
    ],
)
def test_what_keeps_a_request_from_the_hub_is_named(net: Net, answers: list[Any], said: str) -> None:
    net.answers[FOUR] = list(answers)
    found = front.fault(URL, trusted=True)
    assert said in found if said else found == ""


def test_a_certificate_of_the_host_s_own_is_taken_where_that_is_wanted(net: Net) -> None:
    net.answers[FOUR] = [refused_certificate()]
    assert front.fault(URL, trusted=False) == ""
    assert net.asked == ["GET /hub/health HTTP/1.1"]


def test_a_name_that_leads_nowhere(net: Net) -> None:
    net.addresses = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert front.fault(URL, trusted=True) == "hub.example.org does not resolve (Name or service not known)"


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (GOOD, ""),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), ""),  # this computer has no IPv6
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), f"{SIX}: does not answer"),
    ],
)
def test_every_address_of_a_name_has_to_lead_there(net: Net, second: Any, said: str) -> None:
    net.addresses = [FOUR, SIX]
    net.answers[SIX] = [second]
    found = front.fault(URL, trusted=True)
    assert said in found if said else found == ""
