"""All roles of the shipped description, applied to a made-up host by the real loop."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import pytest

import roles
from provision.agent.channel import Channel
from provision.agent.loop import Run
from provision.agent.resources import fs
from provision.agent.state import State
from provision.deploy.bundle import RoleSteps, manifest
from provision.settings import Settings
from tests.support.fakes.host import DISTRIBUTION, Host, inputs, relocated
from tests.support.fakes.systemd import Unit

HIDDEN = "correct-horse-battery"
FENCE = "hubwright-fence"
UNITS = ("jupyterhub", "jupyterhub-proxy", "hubwright-culler", FENCE)


class Service:
    """A service that plans and applies descriptions on one host. `said`: events of the last run, as text."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.said = ""

    def __call__(self, mode: str, settings: Settings, only: set[str] | None = None) -> dict[str, str]:
        """Run. Returns the status by id of all that was not true."""
        given = inputs(settings)
        chosen = roles.SHIPPED.with_needs(only) if only is not None else roles.SHIPPED
        steps = [RoleSteps(role.name, role.needs, role.resources(given)) for role in chosen]
        return self.run(mode, manifest(settings, steps, mode="plan", complete=only is None))

    def remove(self, settings: Settings) -> dict[str, str]:
        return self.run("apply", manifest(settings, [], mode="apply"))

    def run(self, mode: str, content: dict[str, Any]) -> dict[str, str]:
        sink = io.BytesIO()
        state = State(self.host.path("/var/lib/hubwright"))
        there = relocated(json.loads(json.dumps(content)), self.host)
        run = Run(there, _Line(self.host, sink), state, DISTRIBUTION)
        run.plan() if mode == "plan" else run.apply()
        self.said = sink.getvalue().decode()
        results = [json.loads(line) for line in self.said.splitlines()]
        wrong = [event for event in results if event.get("status") in ("failed", "skipped")]
        assert not wrong, json.dumps(wrong, indent=1)
        place = str(self.host.folder)
        return {e["id"].replace(place, ""): e["status"] for e in results if e["event"] == "result"}


class _Line(Channel):
    """A driver that has sent every blob before it was asked."""

    def __init__(self, host: Host, sink: io.BytesIO) -> None:
        super().__init__(io.BytesIO(), sink)
        self.host = host

    def blob(self, digest: str) -> Any:
        from tests.support.fakes.machine import FakeMachine

        machine = FakeMachine(self.host, blobs={digest: b"a build context"})
        return machine.blob(digest)


@pytest.fixture
def service(host: Host) -> Service:
    return Service(host)


def starts(host: Host) -> dict[str, int]:
    return {name: unit.starts for name, unit in host.units.items()}


def test_a_bare_host_becomes_a_hub_and_a_second_run_changes_nothing(
    service: Service, hub: Callable[..., Settings]
) -> None:
    settings, host = hub(), service.host
    changed = service("apply", settings)
    assert set(changed.values()) == {"changed"}
    assert all(host.units[name].active == "active" and host.units[name].enabled for name in UNITS)

    before, runs = host.tree(), starts(host)
    host.commands.clear()
    assert service("apply", settings) == {}
    assert host.tree() == before
    assert starts(host) == runs
    assert {argv[0] for argv in host.commands} == {"dpkg-query", "docker", "systemctl", "/usr/bin/python3"}
    assert len(host.commands) <= 10  # one look for each kind of thing, not one for each thing


def test_the_plan_of_a_bare_host_is_what_apply_then_does(
    service: Service, hub: Callable[..., Settings]
) -> None:
    settings, before = hub(), service.host.tree()
    planned = service("plan", settings)
    assert service.host.tree() == before
    assert set(planned.values()) == {"would-change"}
    brought = {"packages:fence"}  # by Docker's packages meanwhile
    assert set(service("apply", settings)) == set(planned) - brought
    assert service("plan", settings) == {}


def test_a_plan_says_unknown_while_the_engine_does_not_answer(
    service: Service, hub: Callable[..., Settings]
) -> None:
    service.host.installed |= {"docker.io", "apparmor", "iptables"}
    service.host.units["docker"] = Unit()
    service.host.engine_answers = False
    planned = service("plan", hub())
    assert [id_ for id_, status in planned.items() if status == "unknown"] == [
        "docker-network:hubwright",
        "docker-image:hubwright/notebook:" + "a" * 16,
        "docker-trial:hubwright/notebook:" + "a" * 16,
        "docker-volume:hubwright-graphite",
        "docker-image:hubwright/graphite:" + "c" * 16,
    ]
    assert planned["service:docker"] == "would-change"


def test_uninstalling_gives_the_host_back_as_it_was(service: Service, hub: Callable[..., Settings]) -> None:
    host = service.host
    before = host.tree()
    had = (set(host.installed), dict(host.users), {name: list(m) for name, m in host.groups.items()})
    service("apply", hub("[hub]\nport = 444"))
    removed = service.remove(hub())
    assert set(removed.values()) == {"removed"}
    after = {name: entry for name, entry in host.tree().items() if not name.startswith("run")}
    assert set(after) == {name for name in before if not name.startswith("run")}
    assert (host.installed, host.users, host.groups) == had
    assert (host.networks, host.images, host.volumes) == ({}, set(), set())
    assert not any(unit.enabled or unit.active == "active" for unit in host.units.values())


def test_uninstalling_leaves_what_was_there_before(service: Service, hub: Callable[..., Settings]) -> None:
    """The host has a Docker of its own, with other settings and an image."""
    host = service.host
    host.installed |= {"docker.io"}
    host.units["docker"] = Unit("active", enabled=True)
    host.groups["docker"] = []
    host.images.add("theirs:1")
    host.networks["theirs"] = {"Name": "theirs", "IPAM": {"Config": []}, "Options": None}
    theirs = '{\n  "log-driver": "journald",\n  "registry-mirrors": [\n    "https://mirror"\n  ]\n}\n'
    (host.folder / "etc/docker").mkdir()
    (host.folder / "etc/docker/daemon.json").write_text(theirs)

    service("apply", hub())
    assert json.loads((host.folder / "etc/docker/daemon.json").read_text()) == {
        **json.loads(theirs),
        "live-restore": True,
    }
    service.remove(hub())
    assert (host.folder / "etc/docker/daemon.json").read_text() == theirs
    assert "docker.io" in host.installed
    assert (host.units["docker"].active, host.units["docker"].enabled) == ("active", True)
    assert host.images == {"theirs:1"}
    assert set(host.networks) == {"theirs"}


def test_turning_the_culler_off_removes_it_and_only_it(
    service: Service, hub: Callable[..., Settings]
) -> None:
    service("apply", hub())
    statuses = service("apply", hub("[server]\nidle_timeout = 0"))
    assert statuses == {
        "file:/etc/jupyterhub/hub.json": "changed",
        "service:jupyterhub": "changed",
        "service:hubwright-culler": "removed",
        "secret:/etc/jupyterhub/secrets/culler.env": "removed",
        "file:/opt/hubwright/services/counting_culler.py": "removed",
    }
    hub_json = json.loads((service.host.folder / "etc/jupyterhub/hub.json").read_text())
    assert [service["name"] for service in hub_json["services"]] == ["hub-metrics", "status"]
    assert not (service.host.folder / "etc/systemd/system/hubwright-culler.service").exists()
    culler = service.host.units["hubwright-culler"]
    assert (culler.active, culler.enabled) == ("inactive", False)
    assert starts(service.host)["jupyterhub-proxy"] == 1


@pytest.mark.parametrize(
    ("text", "restarted"),
    [
        ("[server]\npids = 512", {"jupyterhub"}),
        ("[hub]\nport = 9000", {"jupyterhub", "jupyterhub-proxy", "hubwright-redirect", FENCE}),
        ("[tls]\nmode = 'off'", {"jupyterhub", "jupyterhub-proxy", FENCE}),
        ("[network]\nblocked = ['10.0.0.0/8']", {FENCE}),
        ("[server]\nmax_age = '1d'", {"hubwright-culler", "jupyterhub"}),  # which tells servers
        ("[deploy]\napt_lock_wait = 5", set()),
        ("[vm]\ncpus = 7", set()),
    ],
)
def test_a_setting_restarts_what_it_concerns(
    service: Service, hub: Callable[..., Settings], text: str, restarted: set[str]
) -> None:
    service("apply", hub())
    before = starts(service.host)
    service("apply", hub(text))
    after = starts(service.host)
    assert {name for name in after if after[name] != before[name]} == restarted


def test_a_secret_reaches_the_hub_and_nothing_else(service: Service, hub: Callable[..., Settings]) -> None:
    settings = hub(secrets=f"[server.secrets]\nKEY = '{HIDDEN}'")
    folder = service.host.folder
    said = []
    for mode in ("plan", "apply", "apply"):
        service(mode, settings)
        said.append(service.said)
    changed = hub(secrets=f"[server.secrets]\nKEY = 'new-{HIDDEN}'")
    assert service("plan", changed)["file:/etc/jupyterhub/hub.json"] == "would-change"
    said.append(service.said)
    assert HIDDEN not in "".join(said)
    assert not any(HIDDEN in word for argv in service.host.commands for word in argv)
    holders = [name for name, (_, _, text) in service.host.tree().items() if HIDDEN in text]
    assert holders == ["etc/jupyterhub/hub.json"]
    assert (folder / "etc/jupyterhub/hub.json").stat().st_mode & 0o777 == 0o600


NETWORK = """[downloads]
apt = {debian = 'http://mirror.example/debian'}
pypi = 'https://mirror.example/simple'
registries = ['https://mirror.example']
http_proxy = 'http://proxy.example:3128'
"""


def test_mirrors_and_the_proxy_come_and_go(service: Service, hub: Callable[..., Settings]) -> None:
    def owned() -> dict[str, Any]:
        tree = service.host.tree()
        return {
            name: text
            for name, (_, _, text) in tree.items()
            if not name.startswith(("var/lib/hubwright", "run"))
        }

    plain = hub()
    service("apply", plain)
    before, runs = owned(), starts(service.host)
    networked = hub(NETWORK, secrets=f"[downloads]\nproxy_credentials = 'me:{HIDDEN}'")
    changed = service("apply", networked)
    assert HIDDEN not in service.said
    assert changed == {
        "file:/etc/apt/apt.conf.d/90hubwright-proxy": "changed",
        "file:/etc/apt/auth.conf.d/hubwright.conf": "changed",
        "apt-sources": "changed",
        "file:/etc/jupyterhub/downloads.env": "changed",
        "json:/etc/docker/daemon.json": "changed",
        "service:docker": "changed",
    }
    assert service("apply", networked) == {}
    assert {name: starts(service.host)[name] - runs[name] for name in runs if runs[name]} == {
        name: int(name == "docker") for name in runs if runs[name]
    }
    holders = [name for name, text in owned().items() if HIDDEN in text]
    assert holders == ["etc/apt/auth.conf.d/hubwright.conf", "etc/jupyterhub/downloads.env"]

    service("apply", plain)
    assert owned() == before
    assert starts(service.host)["docker"] == runs["docker"] + 2
    assert service("apply", plain) == {}


def test_apt_forgets_a_proxy_before_it_fetches_anything(
    service: Service, hub: Callable[..., Settings]
) -> None:
    host = service.host
    service("apply", hub("[downloads]\nhttp_proxy = 'http://gone.example:3128'"))
    told: list[Any] = []

    def update() -> str:
        told.extend((host.folder / "etc/apt/apt.conf.d").iterdir())
        return ""

    host.script("apt-get", "update", answer=update)
    statuses = service("apply", hub("[downloads]\napt = {debian = 'http://mirror.example/debian'}"))
    assert host.ran("apt-get", "update")
    assert told == []
    assert statuses["file:/etc/apt/apt.conf.d/90hubwright-proxy"] == "removed"


def test_uninstalling_puts_apt_s_sources_back(service: Service, hub: Callable[..., Settings]) -> None:
    sources = service.host.folder / "etc/apt/sources.list"
    before = sources.read_text()
    service("apply", hub(NETWORK))
    assert "mirror.example" in sources.read_text()
    service.remove(hub())
    assert sources.read_text() == before
    assert not any((service.host.folder / "etc/apt/apt.conf.d").iterdir())
    assert not (service.host.folder / "etc/systemd/system/docker.service.d").exists()


def test_one_role_alone_takes_what_it_needs_and_leaves_the_rest(
    service: Service, hub: Callable[..., Settings]
) -> None:
    service("apply", hub(), only={"fence"})
    assert (service.host.networks, service.host.users.get("jupyterhub")) != ({}, None)
    assert "jupyterhub" not in service.host.users
    service("apply", hub())
    assert service("plan", hub("[network]\nsubnet = '10.7.0.0/20'"), only={"base"}) == {}
    assert service("plan", hub("[server]\nidle_timeout = 0"), only={"culler"}) == {
        "file:/etc/jupyterhub/hub.json": "would-change",
        "service:jupyterhub": "would-change",
        "service:hubwright-culler": "would-remove",
        "secret:/etc/jupyterhub/secrets/culler.env": "would-remove",
        "file:/opt/hubwright/services/counting_culler.py": "would-remove",
    }


@pytest.mark.parametrize("kill_at", range(0, 24, 4))
@pytest.mark.parametrize("done", [False, True], ids=["before the command", "after the command"])
def test_a_run_killed_anywhere_is_finished_by_the_next_and_uninstalls_whole(
    service: Service, hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, kill_at: int, done: bool
) -> None:
    """The run is killed just before a changing command, or just after it, before it is recorded."""
    host, settings = service.host, hub()
    before = set(host.tree())
    changing = ("apt-get", "useradd", "usermod", "docker", "systemctl")
    real, count = host.run, 0

    class Killed(BaseException):
        pass

    def run(argv: Any, **options: Any) -> str:
        nonlocal count
        if argv[0] in changing or "/" in argv[0]:
            count += 1
            if count > kill_at:
                if done and count == kill_at + 1:
                    real(argv, **options)
                raise Killed
        return real(argv, **options)

    monkeypatch.setattr(host, "run", run)
    monkeypatch.setattr("threading.excepthook", lambda *_: None)
    # The threads of the loop die one by one; roles that need a dead one are skipped.
    with contextlib.suppress(AssertionError):
        service("apply", settings)
    assert count > kill_at
    monkeypatch.setattr(host, "run", real)
    service("apply", settings)
    assert service("apply", settings) == {}
    service.remove(settings)
    assert {name for name in host.tree() if name != "run/hubwright.lock"} == before
    assert "docker.io" not in host.installed


def test_all_folders_that_a_run_writes_into_are_swept_by_the_next(
    service: Service, hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: set[str] = set()
    swept: set[str] = set()
    make = tempfile.mkstemp

    def made(*, prefix: str, dir: str) -> tuple[int, str]:  # noqa: A002 - tempfile's own word
        written.add(dir)
        return make(prefix=prefix, dir=dir)

    def sweep(folders: Iterable[str]) -> list[str]:
        swept.update(folders)
        return []

    service("apply", hub())
    monkeypatch.setattr(tempfile, "mkstemp", made)
    monkeypatch.setattr(fs, "sweep", sweep)
    service("apply", hub("[hub]\nport = 444\ntitle = 'x'\n[server]\nmemory = '1G'\n"))
    assert {service.host.path(folder) for folder in ("/etc/jupyterhub", "/var/lib/hubwright")} <= written
    service.remove(hub())
    assert written <= swept
