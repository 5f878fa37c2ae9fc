"""Virtual machines that cannot be raised: explained on one screen, before anything is made."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.operators import PROGRAMS, Operator
from tests.vm.machines import virsh


@pytest.fixture
def other(operator: Operator, tmp_path: Path) -> Iterator[Operator]:
    """Another operator, with settings of their own, who has no machine yet."""
    site = (operator.folder / "site.toml").read_text(encoding="utf-8")
    (tmp_path / "site.toml").write_text(site, encoding="utf-8")
    name = f"{operator.hub['vm']['name']}-2"
    other = Operator(tmp_path, {**operator.hub, "vm": {**operator.hub["vm"], "name": name}})
    other.write(other.hub)
    yield other
    assert f"{name}-default" not in virsh("list", "--all", "--name").split()
    other.hubwright("destroy", "--yes")
    assert not other.state.exists()


def with_box(operator: Operator, box: str) -> None:
    site = operator.folder / "site.toml"
    lines = site.read_text(encoding="utf-8").splitlines()
    kept = [line if not line.startswith("box =") else f'box = "{box}"' for line in lines]
    site.write_text("\n".join(kept), encoding="utf-8")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("nobody/nothing", ("there is no box nobody/nothing", "vagrant box list")),
        ("/nowhere/hub.box", ("/nowhere/hub.box: there is no such box", "[vm] box")),
    ],
)
def test_box_that_does_not_exist(other: Operator, box: str, words: tuple[str, ...]) -> None:
    with_box(other, box)
    other.hubwright("up", code=2 if box.startswith("/") else 1).says(*words)


def test_too_much_memory(other: Operator) -> None:
    with other.changed(vm={"memory": "4T"}):
        other.hubwright("up", code=1).says("not enough memory", "4096.0 GiB", "[vm] memory")


def test_too_large_a_disk(other: Operator) -> None:
    with other.changed(vm={"disk": "900T"}):
        other.hubwright("up", code=1).says("not enough room", "[vm] disk")


def test_forwarded_port_in_use(other: Operator) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with other.changed(vm={"forward": [f"{port}:8085"]}):
            other.hubwright("up", code=1).says(f"port {port} of 127.0.0.1", "[vm] port")


def test_no_hypervisor_at_all(other: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names a provider that would work here, and how to get it."""
    bare = tmp_path / "bin"
    bare.mkdir()
    monkeypatch.setenv("PATH", str(bare))
    assert os.access(PROGRAMS / "hubwright", os.X_OK)
    done = other.hubwright("up", code=1)
    done.says(
        "no machine can be raised with libvirt", "not installed", "setup.sh --vm", "no other provider works"
    )
    docker = shutil.which("docker", path="/usr/bin:/usr/local/bin")
    assert docker is not None
    (bare / "docker").symlink_to(docker)
    other.hubwright("up", code=1).says("here docker would work: `hubwright up --provider docker`")
    monkeypatch.undo()


def test_kvm_that_does_not_work_is_not_tried(other: Operator) -> None:
    """Where KVM runs no guest, the message names the way around; elsewhere this test proves nothing."""
    site = other.folder / "site.toml"
    text = site.read_text(encoding="utf-8")
    if 'accelerator = "emulation"' not in text:
        pytest.skip("KVM runs guests here")
    site.write_text(text.replace('accelerator = "emulation"', 'accelerator = "kvm"'), encoding="utf-8")
    other.hubwright("up", code=1).says("KVM runs no guests", 'accelerator = "emulation"')
