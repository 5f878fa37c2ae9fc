"""Plan and apply on hosts, with the hosts themselves faked; and what is counted and measured of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import roles
from provision import images
from provision.agent.events import End, Error, Hello, Result
from provision.deploy import apply as deploy
from provision.deploy import timings
from provision.deploy.apply import exit_code, image_sources, plan_or_apply, steps
from provision.deploy.bundle import PlacedFile
from provision.errors import Exit, HubwrightError, SettingsError
from provision.images import Recipe
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Access, OpenConnections, Target
from provision.ssh.loader import START
from provision.tools.digests import file_digest
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


# --- where the image comes from -------------------------------------------------------------------


class Folder:
    """A build context."""

    def packed(self, *_: object) -> bytes:
        return b"context"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """images.py without Docker: a tag, a context, and an archive that was built."""
    archive = tmp_path / "cache" / "built.tar"
    archive.parent.mkdir()
    archive.write_bytes(b"built")
    monkeypatch.setattr(images, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(
        images, "notebook", lambda _: Recipe("notebook", tmp_path, {"PYPI": "https://mirror"})
    )
    monkeypatch.setattr(images, "recipe_tag", lambda *_: "some/name:0123456789abcdef")
    monkeypatch.setattr(images, "recipe_context", lambda *_: Folder())
    monkeypatch.setattr(images, "ensure_archive", lambda *_: archive)
    return archive


SHA = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("saved", "built", "context")}


@pytest.mark.parametrize(
    ("image", "source", "blobs"),
    [
        (
            f"reference = 'quay.io/a@sha256:{'ab' * 32}'",
            ImageSource("ab" * 32, reference=f"quay.io/a@sha256:{'ab' * 32}"),
            {},
        ),
        (
            "archive = 'saved.tar'",
            ImageSource(SHA["saved"], archive=SHA["saved"]),
            {SHA["saved"]: "saved.tar"},
        ),
        (
            "build = 'x'\nbuild_on = 'builder'",
            ImageSource("0123456789abcdef", archive=SHA["built"]),
            {SHA["built"]: "built.tar"},
        ),
        (
            "build = 'x'",
            ImageSource(
                "0123456789abcdef",
                context=SHA["context"],
                arguments=(("BASE", "debian:12@sha256:" + "0c" * 32), ("PYPI", "https://mirror")),
            ),
            {SHA["context"]: b"context"},
        ),
    ],
    ids=["reference", "archive", "built here", "built there"],
)
@pytest.mark.usefixtures("made")
def test_where_hosts_take_the_image_from(
    hub: Callable[..., Settings], image: str, source: ImageSource, blobs: dict[str, Any]
) -> None:
    text = (
        f"[image]\n{image}\n[builder]\nimage = 'debian:12@sha256:{'0c' * 32}'\n[monitoring]\ngraphite = false"
    )
    settings = hub(text)
    (settings.root / "saved.tar").write_bytes(b"saved")
    found, sent = image_sources(settings, REPORTER)
    assert found == {"notebook": source}
    assert {key: blob.name if isinstance(blob, Path) else blob for key, blob in sent.items()} == blobs


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("monitoring", "source"),
    [
        ("graphite = false", None),
        (
            f"image = 'reg.example/graphite@sha256:{'ef' * 32}'",
            ImageSource("ef" * 32, reference=f"reg.example/graphite@sha256:{'ef' * 32}"),
        ),
        ("graphite = true", ImageSource("0123456789abcdef", archive=SHA["built"])),
    ],
    ids=["off", "reference", "built"],
)
def test_where_hosts_take_graphite_from(
    hub: Callable[..., Settings], monitoring: str, source: ImageSource | None
) -> None:
    settings = hub(f"[monitoring]\n{monitoring}\n[image]\nbuild = 'x'\nbuild_on = 'builder'")
    found, _ = image_sources(settings, REPORTER)
    assert found.get("graphite") == source


@pytest.mark.usefixtures("made")
def test_an_archive_that_is_not_there_is_refused_before_anything_is_sent(
    hub: Callable[..., Settings],
) -> None:
    with pytest.raises(SettingsError, match=r"gone\.tar: cannot be read: No such file") as caught:
        image_sources(hub("[image]\narchive = 'gone.tar'"), REPORTER)
    assert "docker save" in caught.value.hint


# --- many hosts -----------------------------------------------------------------------------------

Runs = dict[str, Any]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Hosts by name: what each does with a run. `bundles` are what they were sent."""
    does: Runs = {"bundles": {}}

    def run(target: Target, bundle: bytes, blobs: Any, access: Access, handle: Any) -> None:
        does["bundles"][target.name] = (bundle, blobs, access)
        does[target.name](handle)

    monkeypatch.setattr(deploy, "run_on_host", run)
    return does


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


# --- digests of large files -----------------------------------------------------------------------


def test_a_digest_is_made_once_for_each_state_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, notes = tmp_path / "large", tmp_path / "notes"
    large.write_bytes(b"saved")
    assert file_digest(large, notes) == SHA["saved"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: pytest.fail("it is read again"))
        patch.setattr(Path, "read_text", lambda path, **_: os.fsdecode(_read(path)))
        assert file_digest(large, notes) == SHA["saved"]
    large.write_bytes(b"built")
    os.utime(large, ns=(1, 1))
    assert file_digest(large, notes) == SHA["built"]


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 1 << 16)
    finally:
        os.close(handle)


# --- timings --------------------------------------------------------------------------------------


class StatsClient:
    """statsd's client. `broken` is raised where a client first needs the network: when it is made."""

    made: list[StatsClient] = []  # noqa: RUF012 - emptied by the fixture
    broken: Exception | None = None

    def __init__(self, host: str, port: int, prefix: str) -> None:
        if StatsClient.broken is not None:
            raise StatsClient.broken
        self.to = (host, port, prefix)
        self.sent: list[tuple[str, str, float]] = []
        StatsClient.made.append(self)

    def timing(self, name: str, value: float) -> None:
        self.sent.append(("timing", name, value))

    def incr(self, name: str) -> None:
        self.sent.append(("incr", name, 1))

    def gauge(self, name: str, value: float) -> None:
        self.sent.append(("gauge", name, value))


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> type[StatsClient]:
    monkeypatch.setattr(StatsClient, "made", [])
    monkeypatch.setattr(StatsClient, "broken", None)
    monkeypatch.setitem(sys.modules, "statsd", SimpleNamespace(StatsClient=StatsClient))
    return StatsClient


def test_timings_go_where_the_settings_say(hub: Callable[..., Settings], statsd: type[StatsClient]) -> None:
    timings.send(hub(), "apply", [(1.5, False, 3)])
    assert statsd.made == []
    timings.send(hub("[deploy]\nstatsd = 'graphite.example:8125'"), "apply", [(1.5, False, 3), (2, True, 0)])
    (client,) = statsd.made
    assert client.to == ("graphite.example", 8125, "hubwright.deploy.apply")
    assert client.sent == [
        ("timing", "duration", 1500),
        ("incr", "succeeded", 1),
        ("gauge", "changes", 3),
        ("timing", "duration", 2000),
        ("incr", "failed", 1),
        ("gauge", "changes", 0),
    ]


@pytest.mark.parametrize(
    "error",
    [
        OSError("no such host"),
        UnicodeError("encoding with 'idna' codec failed (UnicodeError: label empty or too long)"),
        OverflowError("port must be 0-65535."),
        RuntimeError("anything"),
    ],
)
def test_timings_never_fail_a_run(
    hub: Callable[..., Settings], statsd: type[StatsClient], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(statsd, "broken", error)
    timings.send(hub("[deploy]\nstatsd = 'a..b:8125'"), "apply", [(1.0, False, 0)])
