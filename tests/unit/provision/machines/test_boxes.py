from __future__ import annotations

import json
import platform
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.errors import HubwrightError, SettingsError
from provision.images import base
from provision.machines import boxes, machine_of
from provision.machines.virtual import VirtualMachine
from provision.report.reporter import Reporter
from provision.settings import Settings
from tests.support.fakes.programs import Programs, failed

Hub = Callable[..., Settings]
QUIET = Reporter(quiet=True)
SITE = """
[builder]
base = "archive"
apt = "http://deb.example/debian"
suite = "bookworm"
"""
MADE = f'[vm]\nbox = "archive"\n{SITE}'


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Programs:
    monkeypatch.setenv("HUBWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    (tmp_path / "grub").mkdir()
    (tmp_path / "grub" / "boot.img").write_bytes(b"boot" * 128)
    monkeypatch.setattr(boxes, "GRUB", tmp_path / "grub")
    programs = Programs.install(monkeypatch, boxes, base)

    def core(argv: list[str], **_: Any) -> str:
        output = next(word for word in argv if word.startswith("--output="))
        Path(output.partition("=")[2]).write_bytes(b"core" * 2048)
        return ""

    def convert(argv: list[str], **_: Any) -> str:
        with Path(argv[-2]).open("rb") as disk:
            first = disk.read(1024)
        Path(argv[-1]).write_bytes(b"qcow2 of " + first)
        return ""

    programs.answers = {"grub-mkimage": core, "qemu-img convert": convert}
    return programs


def test_a_box_is_made_once(hub: Hub, programs: Programs) -> None:
    settings = hub(site=MADE)
    made = boxes.ensure_box(settings, QUIET)
    assert made == boxes.box_file(settings)
    with tarfile.open(made) as box:
        assert box.getnames() == ["metadata.json", "box.img"]
        metadata = box.extractfile("metadata.json")
        assert metadata is not None
        assert json.load(metadata) == {"provider": "libvirt", "format": "qcow2", "virtual_size": 3}
        disk = box.extractfile("box.img")
        assert disk is not None
        assert disk.read()[9:13] == b"boot"
    (bootstrap,) = programs.called("mmdebstrap")
    assert "linux-image-cloud-amd64" in bootstrap
    assert "deb http://deb.example/debian bookworm main" in bootstrap
    assert "mke2fs" in bootstrap

    programs.calls.clear()
    assert boxes.ensure_box(settings, QUIET) == made
    assert programs.calls == []


def test_what_goes_in_names_the_box(hub: Hub, programs: Programs) -> None:  # noqa: ARG001
    plain = boxes.box_file(hub(site=MADE))
    assert boxes.box_file(hub(site=MADE)) == plain
    assert boxes.box_file(hub(site=MADE), ("docker.io",)) != plain
    assert boxes.box_file(hub(site=MADE.replace("bookworm", "trixie"))) != plain
    assert boxes.box_file(hub(site=f'{MADE}keyring = "/keys.gpg"')) == plain, "which only open the archive"


def test_the_hook_is_not_part_of_another_one(hub: Hub, programs: Programs) -> None:  # noqa: ARG001
    """mmdebstrap passes a hook to a shell: a folder's name must not become a word of it."""
    settings = hub(site=MADE)
    command = boxes._bootstrap(settings.builder, (), Path("/tmp/a/disk"), Path("/tmp/a/mount"))
    [hook] = [word for word in command if word.startswith("--customize-hook=DISK=")]
    assert hook.startswith(
        "--customize-hook=DISK=/tmp/a/disk OFFSET=1048576 SIZE=3144704k MOUNT=/tmp/a/mount\n"
    )


def test_a_box_that_fails_leaves_nothing(hub: Hub, programs: Programs, tmp_path: Path) -> None:
    programs.answers["mmdebstrap"] = failed("E: no such suite")
    with pytest.raises(HubwrightError, match="no such suite"):
        boxes.ensure_box(hub(site=MADE), QUIET)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_only_the_latest_boxes_are_kept(hub: Hub, programs: Programs) -> None:  # noqa: ARG001
    settings = hub(site=MADE)
    made = [boxes.ensure_box(settings, QUIET, (package,)) for package in ("a", "b", "c")]
    assert [path.exists() for path in made] == [False, True, True]


@pytest.mark.parametrize(
    ("suite", "resolved"), [("bookworm", True), ("jammy", False), ("noble", True), ("resolute", True)]
)
def test_each_distribution_has_its_own_packages(
    hub: Hub, programs: Programs, suite: str, resolved: bool
) -> None:
    ubuntu = suite != "bookworm"
    site = MADE.replace('"bookworm"', f'"{suite}"\ncomponents = "main universe"') if ubuntu else MADE
    boxes.ensure_box(hub(site=site), QUIET)
    (bootstrap,) = programs.called("mmdebstrap")
    packages = [word for word in bootstrap.split() if word.startswith("--include=")][-1]
    assert ("linux-image-virtual" in packages) == ubuntu
    assert ("linux-image-cloud-amd64" in packages) != ubuntu
    assert ("systemd-resolved" in packages) == resolved


def test_boxes_of_other_processors_are_not_made(
    hub: Hub, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(HubwrightError, match="x86_64") as caught:
        boxes.ensure_box(hub(site=MADE), QUIET)
    assert "[vm] box" in caught.value.hint
    assert programs.calls == []


def test_the_first_sectors_lead_to_the_partition() -> None:
    boot, core = bytes(range(256)) * 2, b"core" * 300
    sectors = boxes.first_sectors(boot, core)
    assert sectors[:440] == boot[:440]
    assert sectors[510:512] == b"\x55\xaa"
    assert sectors[512:] == core
    active, _, kind, _, start, length = struct.unpack("<B3sB3sII", sectors[446:462])
    assert (active, kind, start, length) == (0x80, 0x83, 2048, 3 * 1024**3 // 512 - 2048)
    with pytest.raises(HubwrightError, match="larger than the space"):
        boxes.first_sectors(boot, bytes(2048 * 512))


@pytest.mark.parametrize(
    ("site", "name", "url"),
    [
        ("", "cloud-image/ubuntu-24.04", None),
        ('[vm]\nbox = "own/box"', "own/box", None),
        ('[vm]\nbox = "/nowhere/hub.box"', "hubwright-hub", "file:///nowhere/hub.box"),
    ],
)
def test_what_vagrant_is_told(hub: Hub, site: str, name: str, url: str | None) -> None:
    assert boxes.name_and_url(hub(site=site)) == (name, url)


def test_another_file_is_another_box(hub: Hub, programs: Programs) -> None:  # noqa: ARG001
    settings = hub(site='[vm]\nbox = "own.box"')
    file = settings.root / "own.box"
    names = set()
    for content in (b"a", b"bc"):
        file.write_bytes(content)
        name, url = boxes.name_and_url(settings)
        names.add(name)
        assert url == file.as_uri()
    assert len(names) == 2


def test_a_box_that_is_made_here_has_its_file_s_name(hub: Hub, programs: Programs) -> None:  # noqa: ARG001
    settings = hub(site=MADE)
    name, url = boxes.name_and_url(settings)
    assert name == f"hubwright-{boxes.box_file(settings).stem}"
    assert url == boxes.box_file(settings).as_uri()


@pytest.mark.parametrize(
    ("site", "provider", "words"),
    [
        ('[vm]\nbox = "nothing.box"', "libvirt", "there is no such box"),
        (MADE, "virtualbox", "for libvirt, not for virtualbox"),
    ],
)
def test_boxes_that_cannot_be_had(hub: Hub, programs: Programs, site: str, provider: str, words: str) -> None:
    machine = machine_of(hub(site=site), provider)
    assert isinstance(machine, VirtualMachine)
    with pytest.raises(HubwrightError, match=words) as caught:
        machine.ensure_box(QUIET)
    assert "[vm] box" in caught.value.hint
    assert programs.calls == []
    assert isinstance(caught.value, SettingsError) == ("nothing" in site)
