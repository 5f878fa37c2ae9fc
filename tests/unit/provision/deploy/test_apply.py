"""Plan and apply on hosts, with the hosts themselves faked."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

import roles
from provision import images
from provision.agent.events import End, Error, Hello, Result
from provision.deploy import apply as deploy
from provision.deploy import outside
from provision.deploy.apply import exit_code, plan_or_apply, steps
from provision.deploy.bundle import PlacedFile
from provision.errors import Exit, HubwrightError, SettingsError
from provision.report.outcomes import HostStatus, Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, OpenConnections, Target
from provision.ssh.loader import START
from provision.tools.project import PROJECT
from roles.shared.inputs import ImageSource

ONE, TWO, THREE = Target("one"), Target("two"), Target("three")
SOURCES = {name: ImageSource("0a" * 32, reference="quay.io/a@sha256:00") for name in ("notebook", "graphite")}
REPORTER = Reporter(quiet=True)


def outcome(error: HubwrightError | None = None, **count: int) -> Outcome:
    return Outcome("one", count={key.replace("_", "-"): n for key, n in count.items()}, error=error)


@pytest.mark.parametrize(
    ("mode", "outcomes", "code"),
    [
        ("apply", [], Exit.DONE),
        ("apply", [outcome(ok=5)], Exit.DONE),
        ("apply", [outcome(changed=2, removed=1)], Exit.DONE),
        ("apply", [outcome(ok=5), outcome(failed=1)], Exit.FAILED),
        ("apply", [outcome(skipped=1)], Exit.FAILED),
        ("apply", [outcome(kept=1)], Exit.DONE),
        ("plan", [outcome(ok=5)], Exit.DONE),
        ("plan", [outcome(ok=5), outcome(would_change=1)], Exit.CHANGES),
        ("plan", [outcome(would_remove=1)], Exit.CHANGES),
        ("plan", [outcome(unknown=1)], Exit.CHANGES),
        ("plan", [outcome(would_change=1, failed=1)], Exit.FAILED),
        ("plan", [outcome(error=HubwrightError("x"))], Exit.FAILED),
        ("apply", [outcome(error=SettingsError("x"))], Exit.USAGE),
        ("apply", [outcome(error=SettingsError("x")), outcome(error=HubwrightError("x"))], Exit.FAILED),
    ],
)
def test_exit_codes(mode: Any, outcomes: list[Outcome], code: Exit) -> None:
    assert exit_code(outcomes, mode) is code


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ((), roles.SHIPPED.names),
        (("base",), ("base",)),
        (("notebook_image", "python"), ("base", "docker", "python", "notebook_image")),
    ],
)
def test_steps_of_some_roles(
    hub: Callable[..., Settings], only: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert tuple(role.name for role in steps(hub(), SOURCES, only)) == names


def test_a_role_that_is_not_there_is_a_usage_error(hub: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError, match="no such role: jupyter, swarm") as caught:
        steps(hub(), SOURCES, ("swarm", "docker", "jupyter"))
    assert "culler" in caught.value.hint


# --- many hosts -----------------------------------------------------------------------------------


Runs = dict[str, Any]


def well(handle: Any) -> None:
    handle(Hello("Debian 12"))
    handle(Result(id="x", status="changed"))
    handle(End({"changed": 1}))


def away(_: Any) -> None:
    raise HubwrightError("does not answer", where="two")


def refuses(handle: Any) -> None:
    handle(Error("no sudo", "log in as root"))
    handle(End({"failed": 1}))


def start(settings: Settings, *targets: Target, mode: Any = "apply", **options: Any) -> list[Outcome]:
    seen: list[Any] = []
    return plan_or_apply(
        settings,
        targets,
        mode,
        reporter=REPORTER,
        access=Access(),
        handle=lambda target, event: seen.append((target, event)),
        **options,
    )


def test_every_host_has_its_outcome_and_one_that_is_away_stops_nobody(
    fleet: Runs, hub: Callable[..., Settings]
) -> None:
    fleet.update(one=well, two=away, three=refuses)
    one, two, three = start(hub(), ONE, TWO, THREE)
    assert (one.host, one.failed, one.changes, one.facts) == ("one", False, 1, Hello("Debian 12"))
    assert [event.id for event in one.results] == ["x"]
    assert (str(two.error), two.failed, two.count) == ("two: does not answer", True, {})
    assert three.error is not None
    assert (str(three.error), three.error.hint) == ("three: no sudo", "log in as root")
    assert exit_code([one, two, three], "apply") is Exit.FAILED


def test_a_hub_that_only_its_host_reaches_is_said_and_fails_no_run(
    fleet: Runs, hub: Callable[..., Settings]
) -> None:
    def unchanged(handle: Any) -> None:
        handle(End({"ok": 1}))

    asked = []

    def ask(url: str, trusted: bool) -> str:
        asked.append((url, trusted))
        return f"{url} does not answer: Connection refused"

    fleet.update(one=well, two=away, three=unchanged, front=ask)
    fleet["look"] = lambda target: HostStatus(
        target.name, deployed=True, faults=["containers do not resolve"]
    )
    one, two, three = start(hub(), ONE, TWO, THREE)
    assert one.remarks[0] == "containers do not resolve"
    assert (
        "people may not get in: asked from this computer, https://one:443/ does not answer" in one.remarks[1]
    )
    assert (one.failed, two.remarks, three.remarks) == (False, [], [])
    assert asked == [("https://one:443/", False)]
    for options in ({"mode": "plan"}, {"only": ("base",)}, {"remove": True}):
        assert start(hub(), ONE, **options)[0].remarks == []


def test_the_url_is_asked_from_another_host(
    fleet: Runs, hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = []

    def command(target: Target, _: Access, line: str) -> str:
        lines.append((target, line))
        return json.dumps({"fault": "https://hub.example.org:443/ answers 404"})

    monkeypatch.setattr(outside, "command", command)
    fleet["one"] = well
    settings = hub("[hub]\ndomain = 'hub.example.org'")
    (one,) = start(settings, ONE, watcher=THREE)
    assert "asked from three, https://hub.example.org:443/ answers 404" in one.remarks[0]
    assert lines[0][0] == THREE
    assert "https://hub.example.org:443/" in lines[0][1]


def test_what_nobody_has_foreseen_is_one_host_s_error(fleet: Runs, hub: Callable[..., Settings]) -> None:
    def breaks(_: Any) -> None:
        raise RuntimeError("boom")

    fleet.update(one=well, two=breaks)
    one, two = start(hub(), ONE, TWO)
    assert (one.failed, one.changes) == (False, 1)
    assert two.error is not None
    assert (str(two.error), two.failed) == ("two: RuntimeError: boom", True)
    assert two.error.hint


def test_an_interruption_hangs_up(
    fleet: Runs, hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(OpenConnections, "close", lambda _: closed.append(True))

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    fleet["one"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        start(hub(), ONE)
    assert closed == [True]


def test_hosts_are_worked_on_side_by_side(fleet: Runs, hub: Callable[..., Settings]) -> None:
    together = threading.Barrier(3)

    def meets(handle: Any) -> None:
        together.wait(timeout=10)
        well(handle)

    fleet.update(one=meets, two=meets, three=meets)
    assert [found.failed for found in start(hub(), ONE, TWO, THREE)] == [False] * 3


def sent(fleet: Runs) -> dict[str, Any]:
    bundle, _, _ = fleet["bundles"]["one"]
    assert bundle.startswith(START)
    rest = bundle.removeprefix(START)
    size, _, rest = rest.partition(b"\n")
    _, _, text = rest[int(size) :].partition(b"\n")
    content: dict[str, Any] = json.loads(text)
    return content


def test_a_machine_is_sealed_with_the_files_of_its_first_boot(
    fleet: Runs, hub: Callable[..., Settings]
) -> None:
    fleet["one"] = well
    files = [PlacedFile("/etc/x", b"\0\xff", 0o600)]
    sealed = deploy.generalize(hub(), ONE, files, access=Access(), handle=lambda *_: None)
    assert not sealed.failed
    content = sent(fleet)
    assert (content["mode"], content["roles"]) == ("generalize", [])
    (file,) = content["files"]
    assert (file["path"], file["mode"], base64.b64decode(file["content"])) == ("/etc/x", 0o600, b"\0\xff")


@pytest.mark.parametrize(
    ("options", "mode", "complete", "names"),
    [
        ({}, "plan", True, list(roles.SHIPPED.names)),
        ({"only": ("docker",)}, "apply", False, ["base", "docker"]),
        ({"remove": True}, "apply", True, []),
    ],
)
def test_what_a_host_is_sent(
    fleet: Runs, hub: Callable[..., Settings], options: Any, mode: str, complete: bool, names: list[str]
) -> None:
    fleet["one"] = well
    start(hub(), ONE, mode=mode, **options)
    content = sent(fleet)
    assert (content["mode"], content["complete"]) == (mode, complete)
    assert [role["name"] for role in content["roles"]] == names


FILES = "[hub]\ndomain = 'a.org'\n[tls]\nmode = 'files'\ncertificate = 'no.pem'\nkey = 'no.key'\n"


@pytest.mark.parametrize(
    ("text", "only", "reason"),
    [
        ("", ("nope",), "no such role: nope"),
        (FILES, (), r"no\.pem: cannot be read"),
        ("[downloads]\nca_certificates = ['no.pem']\n", (), r"no\.pem: cannot be read"),
    ],
)
def test_what_is_refused_is_refused_before_an_image_is_built(
    hub: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    only: tuple[str, ...],
    reason: str,
) -> None:
    monkeypatch.setattr(images, "ensure_archive", lambda *_: pytest.fail("an image is built"))
    settings = hub(f"{text}[image]\nbuild = '{PROJECT}/images/notebook'\nbuild_on = 'builder'\n")
    with pytest.raises(SettingsError, match=reason):
        start(settings, ONE, only=only)


def test_uninstalling_needs_no_image(fleet: Runs, hub: Callable[..., Settings]) -> None:
    fleet["one"] = well
    start(hub("[image]\narchive = 'gone.tar'"), ONE, remove=True)
    assert fleet["bundles"]["one"][1] == {}
