"""Checks of a host that runs a hub, of all that a visitor or its operator would notice.

    hubwright verify
    HUBWRIGHT_CONFIG=hub.toml pytest tests/verify --hosts=ssh://root@hub.example.org

Programs of `probes/` run on the host and in visitors' containers. Checks end all that they start.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shlex
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from provision.settings import Settings, load

HERE = Path(__file__).parent
PROBES = sorted((HERE / "probes").glob("*.py"))
PYTHON = "/opt/hubwright/current/bin/python"
CULLER_TOKEN = "/etc/jupyterhub/secrets/culler.env"
VISITORS = 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = any(HERE in item.path.parents for item in items)
    if ours and config.getoption("--hosts") is None:
        raise pytest.UsageError("tests/verify checks hosts: name them, for example --hosts=ssh://root@host")
    items.sort(key=lambda item: item.path.name == "test_culler.py")  # last, as it ends a visitor's server


@dataclass(frozen=True)
class Probes:
    """A runner of the programs of `probes/`, which print JSON."""

    host: Host
    folder: str

    def on_host(self, name: str, *arguments: object) -> Any:
        words = [PYTHON, f"{self.folder}/{name}.py", *map(str, arguments)]
        return json.loads(self.host.check_output(shlex.join(words)))

    def in_container(self, container: str, name: str, *arguments: object) -> Any:
        done = self.run_in_container(container, name, *arguments)
        assert done.rc == 0, done.stderr
        return json.loads(done.stdout)

    def run_in_container(self, container: str, name: str, *arguments: object) -> Any:
        """Exit code and output of a program that may be killed."""
        words = ["docker", "exec", "--interactive", container, "python", "-", *map(str, arguments)]
        program = shlex.quote(f"{self.folder}/{name}.py")
        return self.host.run(f"{shlex.join(words)} <{program}")


@dataclass(frozen=True)
class Visitor:
    """A person who has opened the hub's URL. `container` is Docker's description of their server."""

    number: int
    name: str
    printed: str
    container: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.container["Id"])

    @property
    def address(self) -> str:
        networks: dict[str, Any] = self.container["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["IPAddress"])


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load(Path(os.environ.get("HUBWRIGHT_CONFIG", "hub.toml")))


@pytest.fixture(scope="module")
def host(_testinfra_host: Host) -> Host:
    """The host as root sees it: by sudo where the login user is not root."""
    backend = _testinfra_host.backend
    try:
        root = backend.run("id -u").stdout.strip() == "0"
        if not root and backend.run("sudo -n true").rc != 0:
            pytest.fail(f"{backend.hostname}: the login user needs sudo without a password", pytrace=False)
    except RuntimeError as error:  # of ssh itself
        pytest.fail(f"{backend.hostname}: {error.args[0].stderr.strip()}", pytrace=False)
    backend.sudo = backend.sudo or not root
    return _testinfra_host


@pytest.fixture(scope="session")
def _once() -> Iterator[Callable[[str, Callable[[], Any]], Any]]:
    """`once(key, make)`: the value, or the error, of the generator `make()`, kept until the session ends."""
    with contextlib.ExitStack() as opened:
        made: dict[str, Any] = {}
        failed: dict[str, Exception] = {}

        def once(key: str, make: Callable[[], Iterator[Any]]) -> Any:
            if key in failed:
                raise failed[key]
            if key not in made:
                try:
                    made[key] = opened.enter_context(contextlib.contextmanager(make)())
                except Exception as error:
                    failed[key] = error
                    raise
            return made[key]

        yield once


@pytest.fixture(scope="module")
def probes(host: Host, _once: Callable[..., Any]) -> Probes:
    def make() -> Iterator[Probes]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            archive.add(HERE.parent / "support" / "visitor.py", "tests/support/visitor.py")
            for path in PROBES:
                archive.add(path, path.name)
        packed = base64.b64encode(buffer.getvalue()).decode()
        folder = host.check_output("mktemp --directory --tmpdir hubwright-verify-XXXXXXXX")
        host.check_output(
            "echo %s | base64 --decode | tar --extract --gzip --no-same-owner --directory %s", packed, folder
        )
        yield Probes(host, folder)
        host.check_output("rm -r %s", folder)

    return _once(f"probes {host.backend.get_pytest_id()}", make)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def front_door(settings: Settings) -> str:
    """The URL of the hub for checks that run on the host. It ends in a slash."""
    return f"{settings.own_door}/"


@pytest.fixture(scope="module")
def browsed(settings: Settings) -> tuple[str, str]:
    """The URL that a visitor's browser shows, and the one that checks connect to for it.

    Where a web server is in front of the hub, the checks take its part.
    """
    if settings.tls.mode != "behind-proxy":
        return f"{settings.own_door}/", ""
    name = settings.hub.domain or "localhost"
    return f"https://{f'[{name}]' if ':' in name else name}/", settings.own_door


@pytest.fixture(scope="module")
def hub_api(settings: Settings) -> str:
    return f"{settings.network.hub_url}/hub/api"


@pytest.fixture(scope="module")
def _same_password(host: Host, settings: Settings) -> None:
    """Fail where the settings have another password than the host; show neither."""
    if settings.auth.type == "tmp":
        return
    told = settings.auth.user_password.get_secret_value()
    known = json.loads(host.check_output("cat /etc/jupyterhub/hub.json"))["auth"]
    if known.get("user_password") != told:
        pytest.fail("the host does not have the password of the settings; `hubwright apply`", pytrace=False)


@pytest.fixture(scope="module")
def visitors(
    host: Host,
    probes: Probes,
    browsed: tuple[str, str],
    hub_api: str,
    settings: Settings,
    _same_password: None,
    _once: Callable[..., Any],
) -> list[Visitor]:
    """Two visitors who come at the same time. Servers and temporary accounts end with the session."""

    def make() -> Iterator[list[Visitor]]:
        timeout = 30 + settings.server.start_timeout
        came = probes.on_host("visitors", "arrive", *browsed, VISITORS, timeout)
        try:
            containers = json.loads(host.check_output("docker inspect $(docker ps --quiet --no-trunc)"))
            by_user = {
                value.partition("=")[2]: container
                for container in containers
                for value in container["Config"]["Env"]
                if value.startswith("JUPYTERHUB_USER=")
            }
            yield [
                Visitor(number, visit["user"], visit["printed"], by_user[visit["user"]])
                for number, visit in enumerate(came)
            ]
        finally:
            probes.on_host("visitors", "leave", *browsed)
            if settings.server.idle_timeout and settings.auth.temporary:
                calls = [f"DELETE /users/{visit['user']}" for visit in came]
                probes.on_host("call", hub_api, CULLER_TOKEN, *calls)

    return _once(f"visitors {host.backend.get_pytest_id()}", make)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def visitor(visitors: list[Visitor]) -> Visitor:
    return visitors[0]


@pytest.fixture(scope="module")
def another_visitor(visitors: list[Visitor]) -> Visitor:
    return visitors[1]
