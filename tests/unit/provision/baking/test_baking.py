"""From a machine to an image of it: the refusals, and the order of the steps."""

from __future__ import annotations

import itertools
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision import baking, images
from provision.baking import container, disk
from provision.deploy import apply
from provision.deploy.bundle import PlacedFile
from provision.errors import HubwrightError, SettingsError
from provision.images import making
from provision.machines import libvirt as libvirt_module
from provision.machines.docker import DockerMachine
from provision.machines.libvirt import LibvirtMachine, parse_disk
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.ssh import Target
from provision.tools.process import ProgramError

SECRETS = '[server.secrets]\nAPI_KEY = "correct-horse-battery"\n'
HUB = f'[monitoring]\ngraphite = false\n[image]\nreference = "quay.io/a/b@sha256:{"0a" * 32}"\n'


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The steps done to the machine, in order."""
    log: list[Any] = []

    def generalize(_: Settings, target: Target, files: list[PlacedFile], **__: Any) -> Outcome:
        log.append({file.path: file for file in files})
        return Outcome(target.name, count={"failed": 1} if "fails" in log else {"removed": 9})

    def docker(*words: str, **_: Any) -> str:
        log.append(words[0] if words[0] != "image" else "image rm")
        if words[0] == "save":
            if "disk full" in log:
                raise HubwrightError("no room")
            Path(words[words.index("--output") + 1]).write_bytes(b"layers")
        return "Loaded image: hubwright/baked:theirs\n"

    for kind in (DockerMachine, LibvirtMachine):
        monkeypatch.setattr(kind, "target", lambda _: Target("127.0.0.1", 2222))
        monkeypatch.setattr(kind, "halt", lambda *_: log.append("halt"))
    monkeypatch.setattr(apply, "generalize", generalize)
    monkeypatch.setattr(container, "docker", docker)
    monkeypatch.setattr(making, "docker", docker)
    return log


def bake(settings: Settings, name: str, *, with_secrets: bool = False) -> Path:
    output = settings.root / name
    baking.check(settings, output, with_secrets=with_secrets)
    baking.bake(settings, Reporter(), output)
    return output


def test_a_sealed_machine_is_packed_stopped_and_written(
    happened: list[Any], hub: Callable[..., Settings]
) -> None:
    assert bake(hub(HUB), "hub.tar").read_bytes() == b"layers"
    files, *rest = happened
    assert rest == ["exec", "halt", "commit", "save", "image rm"]
    names = {path.rpartition("/")[2] for path in files}
    assert names >= {"hubwright-first-boot.service", "hubwright-host-keys.service", "bundle.xz", "begin.py"}
    assert "hubwright" not in names, "cloud-init does not start it"


LIBVIRT = HUB + '[vm]\nprovider = "libvirt"\n'
DISKS = """\
 file   cdrom   hda   -
 file   disk    vda   /var/lib/libvirt/images/a hub.img
 file   disk    vdb   /srv/other.img
"""


@pytest.fixture
def libvirt(happened: list[Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    def run(argv: list[str], **_: Any) -> str:
        happened.append(argv)
        if argv[1] == "info":
            return '{"virtual-size": 3221225473}'
        if "not allowed" in happened:
            raise ProgramError(argv, 1, "Could not open: Permission denied")
        Path(argv[-1]).write_bytes(Path(argv[-2]).read_bytes() if "-c" in argv else b"sectors")
        return ""

    def virsh(*words: str) -> str:
        happened.append(words)
        if words[0] == "domstate":
            asked = happened.count(words)
            return "shut off\n" if asked > 2 and "hangs" not in happened else "in shutdown\n"
        return DISKS if words[0] == "domblklist" else ""

    def without_deleted(source: Path, target: Path) -> set[str]:
        happened.append("leave out what was deleted")
        target.write_bytes(source.read_bytes().upper())
        return {"xfs", "swap"} if "not only ext4" in happened else set()

    monkeypatch.setattr(libvirt_module, "virsh", virsh)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(disk, "run", run)
    monkeypatch.setattr(disk, "without_deleted", without_deleted)
    return happened


def test_a_box_is_the_disk_with_the_key_that_every_box_lets_in(
    libvirt: list[Any], hub: Callable[..., Settings]
) -> None:
    with tarfile.open(bake(hub(LIBVIRT), "hub.box")) as box:
        content = {name: box.extractfile(name).read() for name in box.getnames()}  # type: ignore[union-attr]
    assert content.pop("box.img") == b"SECTORS", "what is left of them"
    (metadata,) = map(json.loads, content.values())
    assert metadata == {"provider": "libvirt", "format": "qcow2", "virtual_size": 4}, "GiB, rounded up"
    files, *did = libvirt
    off = [("shutdown", "hubwright-default"), *[("domstate", "hubwright-default")] * 3]
    assert did[:5] == [*off, ("domblklist", "--details", "hubwright-default")]
    assert "/var/lib/libvirt/images/a hub.img" in did[5]
    assert did[6] == "leave out what was deleted"
    assert b"vagrant" in files["/home/vagrant/.ssh/authorized_keys"].content


def test_a_disk_for_clouds_lets_nobody_in(libvirt: list[Any], hub: Callable[..., Settings]) -> None:
    settings = hub(LIBVIRT)
    assert bake(settings, "hub.qcow2").read_bytes() == b"SECTORS"
    assert not [path for path in libvirt[0] if "authorized_keys" in path]
    assert not list(settings.root.glob(".hubwright-*")), "copies on the way"


def test_a_disk_that_may_still_hold_what_was_deleted_says_so(
    libvirt: list[Any], hub: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    libvirt.append("not only ext4")
    bake(hub(LIBVIRT), "hub.qcow2")
    assert "deleted files may still be in the image: it has swap, xfs" in capsys.readouterr().err


def test_a_disk_that_may_not_be_read_says_what_to_do(
    libvirt: list[Any], hub: Callable[..., Settings]
) -> None:
    libvirt.append("not allowed")
    settings = hub(LIBVIRT)
    with pytest.raises(HubwrightError, match="may not be read by this user") as refused:
        bake(settings, "hub.qcow2")
    assert "as root" in refused.value.hint
    assert not list(settings.root.glob("hub.qcow2*"))


def test_a_machine_that_does_not_stop_is_not_copied(
    libvirt: list[Any], hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    libvirt.append("hangs")
    passes = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: float(next(passes)))
    with pytest.raises(HubwrightError, match="is still on 9 s after its power button was pressed"):
        bake(hub(LIBVIRT + "boot_timeout = 9\n"), "hub.qcow2")
    assert not [argv for argv in libvirt if "convert" in argv]


def test_a_machine_without_a_disk_is_an_error() -> None:
    with pytest.raises(HubwrightError, match="no disk in a file"):
        parse_disk(" file   cdrom   hda   -\n")


def test_a_machine_that_cannot_be_sealed_is_not_packed(
    happened: list[Any], hub: Callable[..., Settings]
) -> None:
    happened.append("fails")
    with pytest.raises(HubwrightError, match="could not be generalized"):
        bake(hub(HUB), "hub.tar")
    assert len(happened) == 2


def test_what_cannot_be_written_leaves_no_half_of_it(
    happened: list[Any], hub: Callable[..., Settings]
) -> None:
    settings = hub(HUB)
    happened.append("disk full")
    with pytest.raises(HubwrightError, match="no room"):
        bake(settings, "hub.tar")
    assert not list(settings.root.glob("hub.tar*"))
    assert happened[-1] == "image rm"


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (HUB, "hub.box", r"machines of the provider docker become \.tar"),
        (LIBVIRT, "hub.tar", r"provider libvirt become \.box or \.qcow2"),
        (HUB + '[vm]\nprovider = "virtualbox"\n', "hub.tar", "virtualbox become no file"),
        (HUB, "nowhere/hub.tar", r"nowhere: there is no such folder"),
        (HUB, "/proc/hub.tar", r"/proc/hub\.tar: cannot be written: "),
    ],
)
def test_a_file_that_cannot_be_is_refused(
    happened: list[Any], hub: Callable[..., Settings], text: str, name: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        bake(hub(text), name)
    assert happened == []


def test_secrets_come_along_only_if_asked_for(happened: list[Any], hub: Callable[..., Settings]) -> None:
    settings = hub(HUB, secrets=SECRETS)
    with pytest.raises(SettingsError, match=r"hold secrets: server\.secrets\.API_KEY") as refused:
        bake(settings, "hub.tar")
    assert "--with-secrets" in refused.value.hint
    assert happened == []
    bake(settings, "hub.tar", with_secrets=True)
    (secrets,) = (file for path, file in happened[0].items() if path.endswith("/secrets.json"))
    assert b"correct-horse-battery" in secrets.content
    assert secrets.mode == 0o600


def test_a_baked_hub_is_the_image_of_the_next_machine(
    happened: list[Any], hub: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub(f'{HUB}[vm]\nbox = "hub.tar"\n')
    with pytest.raises(SettingsError, match="there is no such file"):
        images.ensure_host_image(settings, Reporter())
    (settings.root / "hub.tar").write_bytes(b"layers")
    tag = images.host_image_tag(settings)
    assert tag.startswith("hubwright/baked:")
    monkeypatch.setattr(making, "exists", lambda _: False)
    assert images.ensure_host_image(settings, Reporter()) == tag
    assert happened == ["load", "tag", "image rm"]
    monkeypatch.setattr(making, "exists", lambda _: True)
    images.ensure_host_image(settings, Reporter())
    assert len(happened) == 3, "it is loaded once"
    (settings.root / "hub.tar").write_bytes(b"other layers")
    assert images.host_image_tag(settings) != tag
